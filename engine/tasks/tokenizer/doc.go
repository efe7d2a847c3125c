// Package tokenizer turns text into the ids that a model was trained on, as
// its tokenizer.json says. It follows Hugging Face's tokenizers library, whose
// names for the stages it uses: a normalizer, a pre-tokenizer, a model and a
// post-processor. It knows the stages of BERT-like encoders: BertNormalizer,
// BertPreTokenizer, WordPiece, TemplateProcessing and BertProcessing.
package tokenizer
