"use strict";
// What a page does beyond being read: tables are sorted and filtered, numbers lead to what they rest on, and samples are
// searched. Texts are only ever set as text, never as markup.
(() => {
  const PAGE = 20; // samples shown at a time
  const MOST_PAIRS = 400000; // of words, beyond which two texts are not compared
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
  const status = document.getElementById("status");
  document.documentElement.classList.add("js");

  // Tables: sorted within their blocks, for tracks are never ranked together.
  const valueOf = (row, place) => {
    const cell = row.cells[place];
    if (place === 0) return cell.textContent.trim().toLowerCase();
    if (!cell || cell.dataset.value === undefined) return null;
    return Number.isNaN(Number(cell.dataset.value)) ? cell.dataset.value.toLowerCase() : Number(cell.dataset.value);
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : `${a}`.localeCompare(`${b}`, "en", { numeric: true });
  const sortable = (table) => {
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    const blocks = [...table.tBodies].map((body) => [body, all("tr:not(.block)", body)]);
    const sort = (place, way) => {
      heads.forEach((head, other) => head.setAttribute("aria-sort", other === place && way ? way : "none"));
      for (const [body, rows] of blocks) {
        const keyed = rows.map((row) => [valueOf(row, place), row]);
        const known = keyed.filter(([value]) => value !== null);
        const sign = way === "descending" ? -1 : 1;
        if (way) known.sort(([a], [b]) => sign * compare(a, b));
        const ordered = way ? [...known, ...keyed.filter(([value]) => value === null)] : keyed;
        body.append(...ordered.map(([, row]) => row));
      }
    };
    heads.forEach((head, place) => {
      if (!blocks.some(([, rows]) => rows.some((row) => valueOf(row, place) !== null))) return;
      const button = make("button", { type: "button", className: "sort" });
      button.append(...head.childNodes);
      head.append(button);
      if (!head.hasAttribute("aria-sort")) head.setAttribute("aria-sort", "none");
      const first = place === 0 || head.dataset.better === "lower" ? "ascending" : "descending";
      const second = first === "ascending" ? "descending" : "ascending";
      button.addEventListener("click", () => {
        const way = { [first]: second, [second]: "" }[head.getAttribute("aria-sort")] ?? first;
        sort(place, way);
        const name = head.dataset.title || "name";
        status.textContent = way ? `Sorted by ${name}, ${way}` : "In the order in which they were written";
      });
    });
  };
  all("table.sortable").forEach(sortable);

  const filter = document.getElementById("filter");
  const filterRows = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    let total = 0;
    for (const body of all("table.sortable tbody")) {
      const title = all(".block", body).map((row) => row.textContent).join(" ").toLowerCase();
      const rows = all("tr:not(.block)", body);
      for (const row of rows) {
        const text = `${row.cells[0].textContent.toLowerCase()} ${title}`;
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      total += rows.length;
      body.hidden = rows.length > 0 && rows.every((row) => row.hidden);
    }
    document.getElementById("filtered").textContent = words.length ? `${shown} of ${total} rows` : "";
    all(".scroll").forEach(cue);
  };
  if (filter) filter.addEventListener("input", filterRows);

  // How many columns a narrow page does not show is said above each table.
  const cue = (scroll) => {
    const table = scroll.querySelector("table");
    const said = scroll.parentElement.querySelector(".cue");
    if (!table || !said) return;
    const edge = scroll.getBoundingClientRect().right + 2;
    const row = table.tHead.rows[table.tHead.rows.length - 1];
    const hidden = [...row.cells].filter((cell) => cell.getBoundingClientRect().right > edge).length;
    said.textContent = hidden ? `${counted(hidden, "more column")} to the right: scroll the table` : "";
    scroll.classList.toggle("more", hidden > 0);
  };
  const sizes = new ResizeObserver((entries) => entries.forEach((entry) => cue(entry.target)));
  for (const scroll of all(".scroll")) {
    sizes.observe(scroll);
    scroll.addEventListener("scroll", () => cue(scroll), { passive: true });
  }

  // A number leads to what it rests on, unfolded, and its own line there is marked.
  const unfold = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let parent = target; parent; parent = parent.parentElement) if (parent.tagName === "DETAILS") parent.open = true;
    if (target) target.scrollIntoView();
    return target;
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-score]");
    if (!link) return;
    const target = document.getElementById(link.hash.slice(1));
    all("tr.here").forEach((row) => row.classList.remove("here"));
    const row = all("tr[data-score]", target).find((one) => one.dataset.score === link.dataset.score);
    const said = target.querySelector(".this");
    said.hidden = !row;
    if (row) {
      row.classList.add("here");
      const [, value, over, evaluator] = [...row.cells].map((cell) =>
        [...cell.childNodes].map((node) => node.textContent).join(" ").trim());
      said.replaceChildren(make("b", {}, `${link.dataset.score} ${value}`), over ? `, ${over}; judged by ` : "; judged by ", make("code", {}, evaluator));
    }
    if (location.hash === link.hash) unfold();
  });
  addEventListener("hashchange", unfold);

  // Words of `text` beside those of `other`: [kind, words] with kind "same", "added" or "missing"; null for long texts.
  const words = (text) => text.split(/\s+/).filter(Boolean);
  const differences = (other, text) => {
    const a = words(other);
    const b = words(text);
    let head = 0;
    while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
    let tail = 0;
    while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
    const n = a.length - head - tail;
    const m = b.length - head - tail;
    if (n * m > MOST_PAIRS) return null;
    const width = m + 1; // longest common subsequences of what is left from i and j on
    const longest = new Uint16Array((n + 1) * width);
    for (let i = n - 1; i >= 0; i -= 1)
      for (let j = m - 1; j >= 0; j -= 1)
        longest[i * width + j] = a[head + i] === b[head + j]
          ? longest[(i + 1) * width + j + 1] + 1
          : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    const parts = [];
    const add = (kind, word) => {
      if (parts.length && parts[parts.length - 1][0] === kind) parts[parts.length - 1][1].push(word);
      else parts.push([kind, [word]]);
    };
    for (let k = 0; k < head; k += 1) add("same", a[k]);
    let i = 0;
    let j = 0;
    while (i < n || j < m) {
      if (i < n && j < m && a[head + i] === b[head + j]) {
        add("same", a[head + i]);
        i += 1;
        j += 1;
      } else if (j === m || (i < n && longest[(i + 1) * width + j] >= longest[i * width + j + 1])) {
        add("missing", a[head + i]);
        i += 1;
      } else {
        add("added", b[head + j]);
        j += 1;
      }
    }
    for (let k = a.length - tail; k < a.length; k += 1) add("same", a[k]);
    return parts;
  };
  const unlike = (parts) => parts.reduce((sum, [kind, run]) => sum + (kind === "same" ? 0 : run.length), 0);
  const TAGS = { same: "span", added: "ins", missing: "del" };
  const marked = (others, text) => {
    const found = others.map((other) => differences(other, text)).filter(Boolean);
    if (!found.length) return [text || "(empty)"];
    const nearest = found.reduce((best, parts) => (unlike(parts) < unlike(best) ? parts : best));
    return nearest.flatMap(([kind, run]) => [make(TAGS[kind], {}, run.join(" ")), " "]);
  };

  // The browser of samples.
  const [ID, SOURCE, REFERENCES, MADE] = [0, 1, 2, 3];
  const browse = (browser) => {
    const { entries, metrics, documents } = JSON.parse(document.getElementById(browser.dataset.samples).textContent);
    const form = browser.querySelector("form");
    const list = browser.querySelector("ol");
    const more = browser.querySelector("button.more");
    const asked = documents.map((row) => [row[ID], row[SOURCE], ...row[REFERENCES]].join("\n").toLowerCase());
    const made = documents.map((row) => row[MADE].map((one) => (one ? one[0].toLowerCase() : "")));
    const holds = (place, entry, query) =>
      asked[place].includes(query) || (entry < 0 ? made[place].some((text) => text.includes(query)) : made[place][entry].includes(query));
    const chosen = () => [form.elements.entry.value, form.elements.score.value].map(Number);
    let found = [];
    let shown = 0;

    const score = (row, entry, metric) => {
      const those = entry < 0 ? row[MADE] : [row[MADE][entry]];
      const values = those.map((one) => (one ? one[2 + metric] : null)).filter((value) => value !== null);
      return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
    };
    const output = (row, entry, metric, against, every) => {
      if (!row[MADE][entry]) return [];
      const [text, cut, ...scores] = row[MADE][entry];
      const others = against === "source" ? [row[SOURCE] ?? ""] : row[REFERENCES];
      const told = metrics
        .map(([title], place) => [title, scores[place], place])
        .filter(([, value, place]) => value !== null && (every || place === metric))
        .map(([title, value]) => `${title} ${value}`);
      const name = make("dt", {}, entries[entry][1], " ", make("span", {}, told.join(" · ")));
      const said = make("dd", {}, ...(against === "nothing" ? [text || "(empty)"] : marked(others, text)));
      if (cut) said.append(make("i", {}, " cut at the length limit"));
      return [make("div", {}, name, said)];
    };
    const card = (row) => {
      const [entry, metric] = chosen();
      const against = form.elements.against.value;
      const given = make("dl", { className: "asked" });
      const line = (title, text) => given.append(make("div", {}, make("dt", {}, title), make("dd", {}, text)));
      if (row[SOURCE] !== null) line("Source", row[SOURCE]);
      row[REFERENCES].forEach((reference) => line("Reference", reference));
      const outputs = make("dl", { className: "outputs" });
      const those = entry < 0 ? entries.map((_, place) => place) : [entry];
      outputs.append(...those.flatMap((place) => output(row, place, metric, against, entry >= 0)));
      return make("li", { className: "example" }, make("h4", {}, row[ID]), given, outputs);
    };
    const show = () => {
      const next = found.slice(shown, shown + PAGE);
      list.append(...next.map((place) => card(documents[place])));
      shown += next.length;
      const noun = documents.length === 1 ? "document" : "documents";
      browser.querySelector(".count").textContent =
        `${found.length.toLocaleString("en")} of ${documents.length.toLocaleString("en")} ${noun}, ${shown} shown`;
      more.hidden = shown >= found.length;
    };
    const update = () => {
      const query = form.elements.query.value.toLowerCase().trim();
      const [entry, metric] = chosen();
      const order = form.elements.order.value;
      found = documents.map((_, place) => place).filter((place) => !query || holds(place, entry, query));
      if (entry >= 0) found = found.filter((place) => documents[place][MADE][entry]);
      if (order !== "asked" && metrics.length) {
        const sign = (metrics[metric][1] === "lower") === (order === "best") ? 1 : -1;
        const keyed = found.map((place) => [score(documents[place], entry, metric), place]);
        const known = keyed.filter(([value]) => value !== null).sort(([a, x], [b, y]) => sign * (a - b) || x - y);
        found = [...known, ...keyed.filter(([value]) => value === null)].map(([, place]) => place);
      }
      list.replaceChildren();
      shown = 0;
      show();
    };
    form.elements.query.addEventListener("input", update);
    all("select", form).forEach((select) => select.addEventListener("change", update));
    form.addEventListener("submit", (event) => event.preventDefault());
    more.addEventListener("click", () => {
      const first = list.children.length;
      show();
      list.children[first].tabIndex = -1; // so that a keyboard goes on where the new ones begin
      list.children[first].focus();
    });
    document.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-entry]");
      const place = link ? entries.findIndex(([key]) => key === link.dataset.entry) : -1;
      if (place < 0) return;
      form.elements.entry.value = String(place);
      const metric = metrics.findIndex(([title]) => title === link.dataset.metric);
      if (metric >= 0) form.elements.score.value = String(metric);
      form.elements.order.value = link.dataset.order || "asked";
      form.elements.query.value = "";
      update();
    });
    update();
  };
  all(".browser").forEach(browse);
  if (location.hash) unfold();
})();
