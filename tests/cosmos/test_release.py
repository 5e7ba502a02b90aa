"""The converter's refusals, and models to and from a folder. That the numbers are right: tests/golden."""

from __future__ import annotations

import json
import os
import zipfile

import pytest
import torch

from cosmos.config import AutoencoderConfig, DenoiserConfig
from cosmos.io.errors import UserError
from cosmos.models.autoencoder import Autoencoder
from cosmos.models.denoiser import Denoiser
from cosmos.pretrained import CONFIG, WEIGHTS, check_pretrained, from_pretrained, read_config, save_pretrained
from cosmos.release import convert, read_authors

AUTOENCODER = AutoencoderConfig(
    text_width=10, latent_width=6, width=8, latents=3, layers=1, heads=2, max_tokens=5, vocabulary=11
)
DENOISER = DenoiserConfig(latents=3, latent_width=6, width=8, layers=2, heads=2, source_width=10, source_layers=1)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    save_pretrained(Denoiser(DENOISER), tmp_path / "denoiser", {"schedule": {"name": "tan", "d": 7.0}})
    return tmp_path / "denoiser"


class TestFolders:
    def test_round_trip(self, tmp_path, folder):
        torch.manual_seed(1)
        model = Autoencoder(AUTOENCODER, torch.arange(10.0)).eval()
        save_pretrained(model, tmp_path / "autoencoder")
        again = from_pretrained(Autoencoder, tmp_path / "autoencoder")
        assert again.config == AUTOENCODER and not again.training
        latents = torch.randn(2, 3, 6)
        assert torch.equal(again.decompress(latents), model.decompress(latents))
        assert torch.equal(again.decompressor.mask_embedding, torch.arange(10.0))

    def test_the_normaliser_travels_with_the_denoiser(self, tmp_path):
        model = Denoiser(DENOISER)
        model.normaliser.fit([torch.randn(50, 3, 6) * 2 + 1])
        save_pretrained(model, tmp_path)
        again = from_pretrained(Denoiser, tmp_path)
        assert torch.equal(again.normaliser.mean, model.normaliser.mean)
        assert torch.equal(again.normaliser.std, model.normaliser.std)

    def test_configuration_and_extras(self, folder):
        assert read_config(folder) == ("denoiser", DENOISER, {"schedule": {"name": "tan", "d": 7.0}})
        check_pretrained(folder)

    def test_another_configuration_is_refused(self, folder):
        content = json.loads((folder / CONFIG).read_text())
        content["config"]["width"] = 16
        (folder / CONFIG).write_text(json.dumps(content))
        for read in (check_pretrained, lambda where: from_pretrained(Denoiser, where)):
            with pytest.raises(UserError, match="belongs to another configuration"):
                read(folder)

    def test_unknown_fields_and_kinds_are_refused(self, folder):
        content = json.loads((folder / CONFIG).read_text())
        (folder / CONFIG).write_text(json.dumps({**content, "config": {**content["config"], "depth": 3}}))
        with pytest.raises(UserError, match="depth"):
            read_config(folder)
        (folder / CONFIG).write_text(json.dumps({**content, "kind": "denoyser"}))
        with pytest.raises(UserError, match="did you mean denoiser"):
            read_config(folder)
        (folder / CONFIG).unlink()
        with pytest.raises(UserError, match="Cannot read"):
            read_config(folder)

    def test_the_other_model_is_refused(self, folder):
        with pytest.raises(UserError, match="holds the denoiser, where the autoencoder is wanted"):
            from_pretrained(Autoencoder, folder)

    def test_truncated_and_foreign_weights_are_refused(self, folder):
        whole = (folder / WEIGHTS).read_bytes()
        (folder / WEIGHTS).write_bytes(whole[:-5])
        with pytest.raises(UserError, match="truncated"):
            from_pretrained(Denoiser, folder)
        torch.save(Denoiser(DENOISER).state_dict(), folder / WEIGHTS)
        with pytest.raises(UserError, match="not a safetensors file"):
            from_pretrained(Denoiser, folder)


class Trap:
    """Unpickled without care, this runs a command."""

    def __reduce__(self):
        return os.system, ("touch sprung",)


class TestRefusals:
    def test_a_pickle_with_code_in_it(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        torch.save({"encoder": {"latents": torch.zeros(1)}, "decoder": Trap()}, tmp_path / "authors.pth")
        with pytest.raises(UserError, match="holds code or unknown objects"):
            convert(tmp_path / "authors.pth", tmp_path / "out")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["authors.pth"]

    def test_what_is_no_checkpoint(self, tmp_path):
        (tmp_path / "authors.pth").write_bytes(b"hello, world")
        with pytest.raises(UserError, match=r"Cannot read .* as a checkpoint"):
            read_authors(tmp_path / "authors.pth")
        with pytest.raises(UserError, match="Cannot read"):
            read_authors(tmp_path / "none.pth")
        with zipfile.ZipFile(tmp_path / "archive.pth", "w") as archive:
            archive.writestr("archive/data.pkl", b"hello, world")
        with pytest.raises(UserError, match=r"archive\.pth"):
            read_authors(tmp_path / "archive.pth")

    def test_a_truncated_checkpoint(self, tmp_path):
        path = tmp_path / "authors.pth"
        torch.save({"encoder": {"latents": torch.zeros(100)}}, path)
        path.write_bytes(path.read_bytes()[:300])
        with pytest.raises(UserError, match=r"Cannot read .* as a checkpoint"):
            read_authors(path)

    def test_other_peoples_checkpoints(self, tmp_path):
        torch.save({"model": {"weight": torch.zeros(2)}}, tmp_path / "other.pth")
        with pytest.raises(UserError, match="neither an autoencoder nor a score estimator"):
            convert(tmp_path / "other.pth", tmp_path / "out")
        torch.save({"decoder": {"x": torch.zeros(2)}, "encoder": {}}, tmp_path / "other.pth")
        with pytest.raises(UserError, match="lacks 'latents'"):
            convert(tmp_path / "other.pth", tmp_path / "out")
        assert not (tmp_path / "out").exists()
