// Package shape keeps what a language model writes within a JSON Schema: of
// the tokens that could come next, those that can't lead to a text that fits
// are taken out.
//
// A schema is compiled to a regular expression over bytes, for a schema whose
// references end describes a regular language; one that refers to itself is
// followed a few times, and its texts are no deeper. What may follow is found by
// its derivatives (Brzozowski, Derivatives of Regular Expressions, 1964), which
// are made as they are needed and shared where they are equal.
package shape
