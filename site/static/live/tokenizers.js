"use strict";
// The tokenizers of lesson 03, from the models' own tokenizer.json: `encode` gives ids, `pieces` what they stand for.
// They cut as the library does, odd text too (tests/test_live.py). Which characters are letters, accents and so on is
// read off the library beforehand, because a browser has another version of Unicode.
{
  const live = (globalThis.live ??= {});

  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  // Lone surrogates are no characters; utils/pieces.py replaces them likewise.
  live.clean = (text) => text.replace(/\p{Surrogate}/gu, "\ufffd");
  // White space is Unicode's White_Space: JavaScript's \s lacks U+0085, which occurs in reviews, and adds U+FEFF.
  const words = (text) => text.split(/\p{White_Space}+/u).filter(Boolean);

  class Tokenizer {
    constructor(file) {
      const { vocab } = file.model;
      this.pieces = []; // id -> piece
      if (Array.isArray(vocab)) vocab.forEach(([piece], id) => (this.pieces[id] = piece));
      else for (const [piece, id] of Object.entries(vocab)) this.pieces[id] = piece;
      for (const { content, id } of file.added_tokens) this.pieces[id] = content;
      this.ids = new Map(this.pieces.map((piece, id) => [piece, id]));
      this.special = new Set(file.added_tokens.filter(({ special }) => special).map(({ id }) => id));
      const added = file.added_tokens.map(({ content }) => content).sort((a, b) => b.length - a.length);
      this.added = new RegExp(`(${added.map(escaped).join("|")})`);
    }

    /** Ids of a text, without the marks that a model wants at its ends. Special tokens in it are found first. */
    encode(text) {
      return live.clean(text).split(this.added).flatMap((part, place) => {
        return place % 2 ? [this.ids.get(part)] : this.cut(part);
      });
    }

    /** The pieces of some ids, joined, but for special tokens */
    joined(ids) {
      return ids.filter((id) => !this.special.has(id)).map((id) => this.pieces[id]).join("");
    }
  }

  // --- BERT: the longest piece that fits, from the left -------------------------------------------------------------

  class WordPiece extends Tokenizer {
    constructor(file, classes) {
      super(file);
      ({ unk_token: this.unknown, continuing_subword_prefix: this.inside, max_input_chars_per_word: this.most } =
        file.model);
      const any = (which, flags) => new RegExp(`([${classes[which]}])`, flags);
      this.removed = any("removed", "gu"); // controls and accents
      this.composed = any("composed", "gu"); // such as é, which is e and an accent
      this.chinese = any("chinese", "gu"); // each a word of its own
      this.punctuation = any("punctuation", "u");
    }

    normalize(text) {
      text = text.replace(this.removed, "").replace(this.chinese, " $& ");
      text = text.replace(this.composed, (letter) => letter.normalize("NFD")).replace(this.removed, "");
      return Array.from(text, (letter) => letter.toLowerCase()).join(""); // Σ is σ at a word's end too
    }

    cut(text) {
      const parts = words(this.normalize(text)).flatMap((word) => word.split(this.punctuation).filter(Boolean));
      return parts.flatMap((word) => this.cutWord(Array.from(word)));
    }

    cutWord(letters) {
      const ids = [];
      let start = letters.length > this.most ? Infinity : 0;
      while (start < letters.length) {
        let end = letters.length;
        const piece = () => (start ? this.inside : "") + letters.slice(start, end).join("");
        while (end > start && !this.ids.has(piece())) end--;
        if (end === start) break;
        ids.push(this.ids.get(piece()));
        start = end;
      }
      return start === letters.length ? ids : [this.ids.get(this.unknown)]; // one part missing: the whole word is
    }
  }

  // --- GPT-2: bytes, merged in the order in which the merges were learned -------------------------------------------

  // A word is an English ending, letters, digits or other signs, each with the space before it; or other white space.
  const wordsOfGPT2 = ({ letter, number }) =>
    new RegExp(
      `'(?:s|t|re|ve|m|ll|d)| ?[${letter}]+| ?[${number}]+| ?[^\\p{White_Space}${letter}${number}]+` +
        "|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+",
      "gu",
    );
  // A byte is written as a character that can be seen: itself where it can, else one from U+0100 on.
  const LETTER_OF = [];
  for (let byte = 0, next = 256; byte < 256; byte++) {
    const seen = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    LETTER_OF.push(String.fromCharCode(seen ? byte : next++));
  }
  const BYTE_OF = new Map(LETTER_OF.map((letter, byte) => [letter, byte]));

  class ByteLevelBPE extends Tokenizer {
    constructor(file, classes) {
      super(file);
      this.words = wordsOfGPT2(classes);
      const pairs = file.model.merges.map((pair) => (Array.isArray(pair) ? pair.join(" ") : pair));
      this.ranks = new Map(pairs.map((pair, rank) => [pair, rank]));
      this.encoder = new TextEncoder();
    }

    cut(text) {
      return (text.match(this.words) ?? []).flatMap((word) => {
        return this.merge(Array.from(this.encoder.encode(word), (byte) => LETTER_OF[byte])).map((p) => this.ids.get(p));
      });
    }

    merge(parts) {
      for (;;) {
        let best = Infinity, pair = "";
        for (let i = 1; i < parts.length; i++) {
          const rank = this.ranks.get(`${parts[i - 1]} ${parts[i]}`) ?? Infinity;
          if (rank < best) [best, pair] = [rank, `${parts[i - 1]} ${parts[i]}`];
        }
        if (best === Infinity) return parts;
        const merged = [];
        for (let i = 0; i < parts.length; i++) {
          const here = i + 1 < parts.length && `${parts[i]} ${parts[i + 1]}` === pair;
          merged.push(here ? parts[i] + parts[++i] : parts[i]);
        }
        parts = merged;
      }
    }

    decode(ids) {
      return new TextDecoder().decode(Uint8Array.from(this.joined(ids), (letter) => BYTE_OF.get(letter)));
    }
  }

  // --- T5: the cut that is likeliest as a whole ---------------------------------------------------------------------

  const SPACE = "▁";
  class Unigram extends Tokenizer {
    constructor(file) {
      super(file);
      this.scores = new Map(file.model.vocab); // piece -> log probability
      this.unknown = file.model.unk_id;
      this.unknownScore = Math.min(...this.scores.values()) - 10;
      this.longest = Math.max(...this.pieces.map((piece) => piece.length));
    }

    cut(text) {
      return words(text).flatMap((word) => {
        const marked = word.startsWith(SPACE) ? word : SPACE + word;
        return marked.split(/(?=▁)/).flatMap((part) => this.cutWord(part));
      });
    }

    cutWord(word) {
      // best[end]: the likeliest cut of the first `end` letters, as its score and where its last piece starts
      const best = Array(word.length + 1);
      best[0] = { score: 0 };
      const offer = (start, end, id, score) => {
        score += best[start].score;
        if (!best[end] || score > best[end].score) best[end] = { score, start, id };
      };
      for (let start = 0; start < word.length; ) {
        const next = start + String.fromCodePoint(word.codePointAt(start)).length;
        let known = false;
        for (let end = start + 1; end <= Math.min(word.length, start + this.longest); end++) {
          const piece = word.slice(start, end);
          if (!this.scores.has(piece)) continue;
          offer(start, end, this.ids.get(piece), this.scores.get(piece));
          known ||= end === next;
        }
        if (!known) offer(start, next, this.unknown, this.unknownScore);
        start = next;
      }
      const ids = [];
      for (let end = word.length; end > 0; end = best[end].start) {
        const { id } = best[end];
        if (id !== this.unknown || ids[0] !== id) ids.unshift(id); // unknown letters side by side are one <unk>
      }
      return ids;
    }

    decode(ids) {
      return this.joined(ids).replaceAll(SPACE, " ").replace(/^ /, "");
    }
  }

  const KINDS = { WordPiece, BPE: ByteLevelBPE, Unigram };

  /** Called by the script with the tokenizers' files: makes live.tokenizers, by the names of the models. */
  live.receiveTokenizers = (files, classes) => {
    live.tokenizers = {};
    for (const [name, file] of Object.entries(files)) {
      live.tokenizers[name] = Object.assign(new KINDS[file.model.type](file, classes), file.course);
    }
  };
}
