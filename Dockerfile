# Two images: `--target cuda` (the default) and `--target cpu`; docs/installation.md has the commands.
FROM python:3.12-slim AS base
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE MANIFEST.in ./
COPY cosmos cosmos
COPY baselines baselines
COPY benchmarks benchmarks
COPY reports reports

FROM base AS cpu
# The index of PyTorch's CPU wheels; without it pip would bring the libraries of CUDA, several gigabytes.
ARG CPU_INDEX
RUN test -n "$CPU_INDEX" || { echo "Name the index of the CPU wheels: --build-arg CPU_INDEX=URL."; exit 2; }
RUN pip install -c constraints.txt --index-url "$CPU_INDEX" torch \
    && pip install -c constraints.txt .
WORKDIR /bench
ENTRYPOINT ["cosmos-bench"]

FROM base AS cuda
# A C compiler, with which kernels are compiled when a training begins.
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
RUN pip install -c constraints.txt .
WORKDIR /bench
ENTRYPOINT ["cosmos-bench"]
