// Package tokenizer turns text into the ids that a model was trained on, and
// ids back into text, as its tokenizer.json says. It follows Hugging Face's
// tokenizers library, whose names for the stages it uses: added tokens, a
// normalizer, a pre-tokenizer, a model (WordPiece, BPE, Unigram or WordLevel), a
// post-processor and a decoder.
//
// Offsets are in code points of the text that was given.
package tokenizer
