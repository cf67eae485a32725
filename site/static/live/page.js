"use strict";
// The panels of "Try the three models". Each is built into its place on the page, answers while one types, and ends in
// a line that a screen reader hears. A model's script is loaded when its panel is first used, once for all panels.
{
  const { tokenizers } = live;
  const BERT = "mini-bert", GPT = "mini-gpt", T5 = "mini-t5";
  const ALGORITHMS = { [BERT]: "WordPiece", [GPT]: "byte-level BPE", [T5]: "Unigram" };
  const SHOWN = 300, MOST_WORDS = 60, MOST_WRITTEN = 60, MOST_ANSWERED = 32; // boxes, words to tap, tokens, tokens

  // --- Elements -----------------------------------------------------------------------------------------------------

  /** An element: what begins with "on" is a listener, `text` its text, the rest are attributes. */
  function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "text") element.textContent = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  let fields = 0;
  /** A labeled control; `use` is called on each input. */
  function field(label, control, use) {
    control.id = `live-field-${++fields}`;
    control.addEventListener("input", use);
    return h("p", {}, h("label", { for: control.id, text: label }), control);
  }

  /** A slider and its field, which says the value */
  function slider(label, [min, max, step, value], use) {
    const control = h("input", { type: "range", min, max, step, value }), shown = h("output", { text: value });
    const labeled = field(label, control, () => [(shown.textContent = control.value), use()]);
    labeled.append(shown);
    return [control, labeled];
  }

  const area = (text) => h("textarea", { rows: 2, spellcheck: "false", dir: "auto", text });
  const choice = (...names) => h("select", {}, ...names.map((text) => h("option", { text })));
  const button = (text, onclick, attributes = {}) => h("button", { type: "button", text, onclick, ...attributes });
  const status = (shown = "live-status") => h("p", { role: "status", class: shown });
  const title = (text) => h("p", { class: "live-head", text });
  const row = (...children) => h("div", { class: "live-row" }, ...children);
  const percent = (share) => (share === 0 ? "0" : share < 0.005 ? "<1%" : `${Math.round(100 * share)}%`);
  const nameOf = (name, id) => tokenizers[name].pieces[id] ?? "(no row)"; // an id beyond the table
  const tokensOf = (name, ids) => ids.map((id) => nameOf(name, id));

  /** What ids stand for in a model's table, in colored boxes, with the ids if asked. */
  function pieces(heading, ids, name, withIds) {
    const boxes = ids.slice(0, SHOWN).map((id, place) =>
      h("span", { class: `tone-${place % 5}` }, h("bdi", { text: nameOf(name, id) }),
        ...(withIds ? [h("sub", { text: id })] : [])));
    const more = ids.length > SHOWN ? `, the first ${SHOWN} shown` : "";
    const count = `${ids.length.toLocaleString("en")} pieces${more}`;
    return [title(`${heading}: ${count}`), h("div", { class: "live-pieces" }, ...boxes)];
  }

  /** Bars of a model's candidates {id, share, kept}; those that top-p cuts are crossed out. */
  const bars = (name, ranked) =>
    h("div", { class: "live-bars" }, ...ranked.flatMap(({ id, share, kept }) => [
      h(kept ? "span" : "s", { class: "live-label" }, h("bdi", { text: nameOf(name, id) })),
      h("span", { class: "live-track" }, h("span", { class: "live-bar", style: `width: ${100 * share}%` })),
      h("span", { class: "live-share", text: `${(100 * share).toFixed(1)}%` }),
    ]));

  /** Pieces, each shaded by its share of 1 (a number below says it); `press(place)` makes them buttons. */
  const strip = (tokens, shares, { press = null, pressed = -1, mark = -1 } = {}) =>
    h("div", { class: "live-strip" }, ...tokens.slice(0, SHOWN).map((token, place) => {
      const shade = `--shade: ${Math.round(100 * Math.min(1, shares ? shares[place] : 0))}%`;
      const content = [h("bdi", { text: token }), h("small", { text: shares ? percent(shares[place]) : "" })];
      const attributes = { style: shade, class: place === mark ? "live-marked" : "" };
      if (!press) return h("span", attributes, ...content);
      return h("button", { ...attributes, type: "button", "aria-pressed": `${place === pressed}`,
        onclick: () => keepFocus(() => press(place)) }, ...content);
    }));

  /** Do something that builds buttons anew, and leave the keyboard where it was. */
  function keepFocus(change) {
    const old = document.activeElement, buttons = () => [...(panel?.querySelectorAll("button") ?? [])];
    const panel = old.closest(".live"), place = buttons().indexOf(old);
    change();
    buttons()[place]?.focus();
  }

  // --- Models -------------------------------------------------------------------------------------------------------

  const here = document.currentScript.src.replace(/[^/]*$/, "");
  const networks = {}, loading = {};

  live.receiveModel = (name, config, ...numbers) => (networks[name] = live.network(config, live.unpack(...numbers)));

  /** The network of a name, as soon as its script is here; `line` says meanwhile what the page waits for. */
  function load(name, line) {
    if (networks[name]) return Promise.resolve(networks[name]);
    line.textContent = `Loading ${name}, ${tokenizers[name].megabytes} MB …`;
    return (loading[name] ??= new Promise((resolve, reject) => {
      const script = h("script", { src: `${here}${name}.data.js` });
      script.onload = () => resolve(networks[name]);
      script.onerror = () => {
        delete loading[name];
        reject(new Error(`${name} could not be loaded; try again when the connection is back.`));
      };
      document.head.append(script);
    }));
  }

  /** A function that runs `work`, and tells in a line what went wrong. */
  const telling = (work, line) => () =>
    Promise.resolve().then(work).catch((error) => (line.textContent = error.message.split("\n")[0]));

  /** The same once before the next picture is drawn, however often it is called until then. */
  function soon(work, line) {
    let waiting = 0;
    return () => {
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(telling(work, line));
    };
  }

  /** What the first use of a panel will fetch */
  const fetches = (...names) => {
    const missing = names.filter((name) => !networks[name]).map((name) => `${name}, ${tokenizers[name].megabytes} MB`);
    return missing.length ? ` This loads ${missing.join("; ")}.` : "";
  };

  /** What a model reads of a text: its ids between the marks it knows, as many as it has met; and whether all. */
  function read(name, text, before, after) {
    const ids = tokenizers[name].encode(text), room = tokenizers[name].limit - before.length - after.length;
    const cut = ids.length > room ? ` Only the first ${room} pieces were read.` : "";
    return { ids: [...before, ...ids.slice(0, room), ...after], cut };
  }
  const special = (name, token) => tokenizers[name].ids.get(token);
  const forBert = (text) => read(BERT, text, [special(BERT, "[CLS]")], [special(BERT, "[SEP]")]);
  const forGPT = (text) => read(GPT, text, [special(GPT, "<|endoftext|>")], []);
  const forT5 = (text) => read(T5, text, [], [special(T5, "</s>")]);

  // --- The panels ---------------------------------------------------------------------------------------------------

  const PANELS = {
    pieces(panel) {
      const text = area("The café's soundtrack is unforgettably naïve, a 9/10 😀");
      const ids = h("input", { type: "checkbox" }), picture = h("div"), line = status("visually-hidden");
      const draw = soon(() => {
        const cut = Object.entries(tokenizers).map(([name, tokenizer]) => [name, tokenizer.encode(text.value)]);
        picture.replaceChildren(...cut.flatMap(([name, found]) =>
          pieces(`${ALGORITHMS[name]} (${name})`, found, name, ids.checked)));
        line.textContent = `Pieces: ${cut.map(([name, found]) => `${name} ${found.length}`).join(", ")}.`;
      }, line);
      panel.append(field("Text", text, draw), field("show ids", ids, draw), picture, line);
      draw();
    },

    blank(panel) {
      const text = area("I wasted my time on this movie.");
      const words = h("div", { class: "live-row", role: "group", "aria-label": "Words to hide" });
      const guesses = h("div", { class: "live-guesses" }), picture = h("div"), line = status(), attention = status();
      const layer = choice(1), head = choice(1), controls = row(), hidden = new Set();
      let looks = 0, seen = null, parts = [];

      const look = () => {
        const weights = seen.attentions[layer.value - 1], n = seen.tokens.length;
        const start = ((head.value - 1) * n + looks) * n, shares = weights.subarray(start, start + n);
        const press = (place) => [(looks = place), look()];
        picture.replaceChildren(strip(seen.tokens, shares, { press, pressed: looks }));
        const best = [...shares.keys()].sort((a, b) => shares[b] - shares[a]).slice(0, 3);
        const most = best.map((place) => `${seen.tokens[place]} (${percent(shares[place])})`).join(", ");
        attention.textContent = `Layer ${layer.value}, head ${head.value}: ${seen.tokens[looks]} looks most at ${most}.`;
      };
      const fill = soon(async () => {
        if (!hidden.size && !text.value.includes("[MASK]")) {
          line.textContent = words.children.length ? `Tap a word to hide it.${fetches(BERT)}` : "Type a word or more.";
          controls.hidden = true;
          return [guesses, picture, attention].forEach((part) => part.replaceChildren());
        }
        const bert = await load(BERT, line);
        const mask = special(BERT, "[MASK]"), width = bert.config.hidden_size;
        const { ids, cut } = forBert(parts.map((part, i) => (hidden.has(i) ? "[MASK]" : part)).join(""));
        const places = [...ids.keys()].filter((place) => ids[place] === mask);
        seen = { ...bert.read(ids), tokens: tokensOf(BERT, ids) };
        const asked = places.map((place) => seen.vectors.subarray(place * width, (place + 1) * width));
        const best = asked.map((vector) => live.candidates(bert.guess(vector), 1, 1).slice(0, 5));
        guesses.replaceChildren(...best.map((five, i) => h("div", {}, title(`Blank ${i + 1}`), bars(BERT, five))));
        const said = best.map(([{ id, share }]) => `${nameOf(BERT, id)} (${percent(share)})`);
        line.textContent = (best.length ? `First guess: ${said.join("; ")}.` : "No blank in what was read.") + cut;
        fit(layer, bert.config.num_hidden_layers);
        fit(head, bert.config.num_attention_heads);
        controls.hidden = false;
        looks = places[0] ?? 0;
        look();
      }, line);
      const offer = () => {
        const old = parts;
        parts = partsOf(text.value);
        for (const i of hidden) if (parts[i] !== old[i]) hidden.delete(i); // what is typed elsewhere leaves blanks alone
        const tappable = [...parts.keys()].filter((i) => /[\p{L}\p{N}]/u.test(parts[i]));
        words.replaceChildren(...tappable.slice(0, MOST_WORDS).map((i) => {
          return button(parts[i], ({ currentTarget }) => {
            if (!hidden.delete(i)) hidden.add(i);
            currentTarget.setAttribute("aria-pressed", hidden.has(i));
            fill();
          }, { "aria-pressed": hidden.has(i) });
        }));
        fill();
      };
      controls.append(field("layer", layer, look), field("head", head, look));
      panel.append(field("Sentence", text, offer), words, guesses, line, controls, picture, attention);
      offer();
    },

    write(panel) {
      const text = area("This movie was"), output = h("p", { class: "live-text" });
      const seed = h("input", { type: "number", value: 0, min: 0 }), picture = h("div"), line = status();
      const [temperature, first] = slider("temperature", [0, 2, 0.1, 0.8], () => look());
      const [topP, second] = slider("top-p", [0.05, 1, 0.05, 0.9], () => look());
      let run = 0; // a number that changes when what runs must stop
      const next = (gpt, vectors) =>
        live.candidates(gpt.guess(vectors.slice(-gpt.config.n_embd)), +temperature.value, +topP.value);
      const show = (ranked) => {
        const rest = ranked.filter(({ kept }) => !kept), share = rest.reduce((sum, one) => sum + one.share, 0);
        const kept = (ranked.length - rest.length).toLocaleString("en");
        picture.replaceChildren(title("What may come next"), bars(GPT, ranked.slice(0, 8)));
        return `Top-p keeps ${kept} of ${ranked.length.toLocaleString("en")} pieces; ` +
          `the others, ${percent(share)} of the probability, are cut.`;
      };
      const look = soon(async () => {
        run++;
        const gpt = await load(GPT, line), { ids, cut } = forGPT(text.value);
        line.textContent = show(next(gpt, gpt.read(ids).vectors)) + cut;
      }, line);
      const write = telling(async () => {
        const mine = ++run, gpt = await load(GPT, line), chance = live.seeded(+seed.value);
        if (run !== mine) return;
        line.textContent = "Writing …";
        const { ids, cut } = forGPT(text.value), written = [];
        let { vectors, cache } = gpt.read(ids);
        for (let why = "", said = ""; !why; ) {
          const ranked = next(gpt, vectors), { id } = live.draw(ranked, chance());
          said = show(ranked);
          const ended = id === ids[0]; // the mark between two texts
          if (!ended) written.push(id);
          output.replaceChildren(live.clean(text.value), h("mark", { text: tokenizers[GPT].decode(written) }));
          if (ended) why = "The text ended by itself.";
          else if (written.length === MOST_WRITTEN) why = `It stops after ${MOST_WRITTEN} pieces.`;
          else if (ids.length + written.length >= tokenizers[GPT].limit) why = "It knows no longer texts.";
          await new Promise((resume) => setTimeout(resume));
          if (run !== mine) return;
          if (!why) ({ vectors, cache } = gpt.read([id], cache));
          else line.textContent = `${why} ${said}${cut}`;
        }
      }, line);
      const stop = button("Stop", () => [run++, (line.textContent = "Stopped.")]);
      panel.append(field("Beginning", text, () => [output.replaceChildren(), look()]),
        row(first, second, field("seed", seed, () => {})), row(button("Write on", write), stop),
        output, picture, line);
      line.textContent = `Press “Write on”.${fetches(GPT)}`;
    },

    tasks(panel) {
      const languages = ["German", "French", "Romanian"].map((language) => `translate English to ${language}:`);
      const prefix = choice(...languages, "sentiment:", "title:", "topic:"), examples = row();
      const text = h("input", { type: "text", value: "Tuesday, March 12, 2024", dir: "auto" });
      const picture = h("div"), line = status(), across = status();
      const measures = ["Tuesday, March 12, 2024", "3:45 PM", "21.5 degrees Celsius", "12 million", "1,234.56"];
      const films = ["A wonderful film. I loved every minute of it.", "A waste of time, boring and stupid."];
      const lake = "Lake Bled is a lake in the Julian Alps of northwestern Slovenia. It is popular with visitors.";
      const offered = { "sentiment:": [...films, lake], "title:": [lake, films[0]], "topic:": [lake, films[0]] };
      const answer = soon(async () => {
        const question = `${prefix.value} ${live.clean(text.value)}`;
        const t5 = await load(T5, line), { ids, cut } = forT5(question), [end] = ids.slice(-1);
        const { vectors } = t5.read(ids), written = [], rows = [];
        let cache, id = t5.config.decoder_start_token_id;
        while (written.length < MOST_ANSWERED && id !== end) {
          const step = t5.write([id], vectors, cache);
          cache = step.cache;
          written.push((id = live.likeliest(t5.guess(step.vectors))));
          rows.push(meanOfHeads(step.attentions[step.attentions.length - 1], ids.length));
        }
        const said = tokenizers[T5].decode(written);
        line.replaceChildren(`${question} → `, h("mark", { text: said }), cut);
        const tokens = tokensOf(T5, ids), answers = tokensOf(T5, written);
        const look = (row) => {
          const best = rows[row].indexOf(Math.max(...rows[row]));
          picture.replaceChildren(title("Written (tap a piece)"), strip(answers, null, { press: look, pressed: row }),
            title("Read: where that piece's attention lay"), strip(tokens, rows[row]));
          across.textContent = `${answers[row]} looks most at ${tokens[best]} (${percent(rows[row][best])}).`;
        };
        look(0);
      }, line);
      const offer = () => {
        examples.replaceChildren(...(offered[prefix.value] ?? measures).map((example) =>
          button(example, () => [(text.value = example), answer()])));
      };
      const task = field("Task", prefix, () => [offer(), answer()]);
      panel.append(task, field("Text", text, answer), examples, line, picture, across);
      offer();
      line.textContent = `Press an example, or type your own.${fetches(T5)}`;
    },

    change(panel) {
      const before = area("The actors are good because the story is good.");
      const after = area("The actors are good because the story is bad."), picture = h("div"), line = status();
      const compare = soon(async () => {
        for (const name of [BERT, GPT, T5]) await load(name, line);
        if (results.size > 20) results.clear();
        const found = lastVectors(after.value, before.value), said = [];
        picture.replaceChildren(...Object.entries(lastVectors(before.value, before.value)).flatMap(([name, old]) => {
          const { tokens, moved, first } = movedBy(old, found[name]);
          const left = Math.max(0, ...moved.slice(0, first));
          said.push(`${name} ${percent(left)}`);
          return [title(name), strip(tokens, moved, { mark: first })];
        }));
        line.textContent = `Left of the change, vectors move by at most: ${said.join(", ")}.`;
      }, line);
      const typed = () => Object.keys(networks).length === 3 && compare();
      panel.append(field("Sentence", before, typed), field("Changed", after, typed),
        row(button("Compare", compare)), picture, line);
      line.textContent = `Press “Compare”.${fetches(BERT, GPT, T5)}`;
    },

    wrong(panel) {
      const text = area("What a beautiful and moving film."), picture = h("div"), line = status("visually-hidden");
      const cutter = choice(GPT, T5);
      const draw = soon(() => {
        const ids = tokenizers[cutter.value].encode(text.value);
        picture.replaceChildren(...pieces(`${cutter.value} says`, ids, cutter.value, true),
          ...pieces(`${BERT} hears`, ids, BERT, true));
        line.textContent = `${BERT} hears: ${tokensOf(BERT, ids.slice(0, SHOWN)).join(" ")}`;
      }, line);
      panel.append(field("Sentence", text, draw), field("cut by the tokenizer of", cutter, draw), picture, line);
      draw();
    },
  };

  /** Words, and what stands between them */
  const partsOf = (text) => text.match(/[\p{L}\p{N}]+|[^\p{L}\p{N}]+/gu) ?? [];

  /** Give a select the numbers 1 to n, once. */
  const fit = (select, n) => {
    while (select.options.length < n) select.append(h("option", { text: select.options.length + 1 }));
  };

  /** weights (heads, 1, m) -> (m) */
  const meanOfHeads = (weights, m) =>
    Array.from({ length: m }, (_, j) => {
      let sum = 0;
      for (let i = j; i < weights.length; i += m) sum += weights[i];
      return (sum * m) / weights.length;
    });

  /** What `work` gave for this key, or gives: so that a letter typed computes only what it changes. */
  const results = new Map();
  const once = (key, work) => results.get(key) ?? results.set(key, work()).get(key);

  /** Network -> tokens and vectors of the last layer, as in lesson 01; T5's encoder reads `given` for its decoder. */
  function lastVectors(text, given) {
    const bert = forBert(text).ids, gpt = forGPT(text).ids, t5 = forT5(text).ids, read = forT5(given).ids;
    const shifted = [networks[T5].config.decoder_start_token_id, ...t5.slice(0, -1)];
    const vectors = (name, ids) => once(`${name} ${ids}`, () => networks[name].read(ids));
    const written = () => networks[T5].write(shifted, vectors(T5, read).vectors);
    return {
      BERT: { tokens: tokensOf(BERT, bert), ...vectors(BERT, bert) },
      GPT: { tokens: tokensOf(GPT, gpt), ...vectors(GPT, gpt) },
      "T5's encoder": { tokens: tokensOf(T5, t5), ...vectors(T5, t5) },
      "T5's decoder": { tokens: tokensOf(T5, shifted), ...once(`${shifted} from ${read}`, written) },
    };
  }

  /** How much each vector moves, as a share of its length, and which token is the first that differs. */
  function movedBy(old, now) {
    const width = old.vectors.length / old.tokens.length, n = Math.min(old.tokens.length, now.tokens.length);
    const moved = Array.from({ length: n }, (_, place) => {
      let change = 0, length = 0;
      for (let i = place * width; i < (place + 1) * width; i++) {
        change += (old.vectors[i] - now.vectors[i]) ** 2;
        length += old.vectors[i] ** 2;
      }
      return Math.sqrt(change / length);
    });
    const first = old.tokens.findIndex((token, place) => token !== now.tokens[place]);
    return { tokens: old.tokens.slice(0, n), moved, first: first < 0 ? n : first };
  }

  document.getElementById("live-elsewhere").remove();
  for (const [name, build] of Object.entries(PANELS)) build(document.getElementById(`live-${name}`));
}
