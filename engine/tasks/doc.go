// Package tasks holds the built-in tasks, by their Hugging Face ids. Each
// reads what it needs of a model's own files and turns texts and pictures
// into tensors and back.
package tasks
