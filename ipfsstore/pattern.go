package ipfsstore

import (
	"fmt"
	"path"
	"strings"
)

// checkPatterns refuses malformed patterns.
func checkPatterns(patterns []string) error {
	for _, p := range patterns {
		for part := range strings.SplitSeq(p, "/") {
			if _, err := path.Match(part, ""); err != nil || part == "" {
				return fmt.Errorf("%w: file pattern %q", ErrInvalidRef, p)
			}
		}
	}
	return nil
}

// matchAny reports whether name, slash-separated, matches one of the patterns;
// none at all match everything. `*`, `?` and `[..]` stay within one element,
// `**` stands for any number of them.
func matchAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if matchParts(strings.Split(p, "/"), strings.Split(name, "/")) {
			return true
		}
	}
	return len(patterns) == 0
}

// wanted reports whether a file is to be taken: it matches include, if that has
// patterns, and none of exclude.
func wanted(include, exclude []string, name string) bool {
	return matchAny(include, name) && (len(exclude) == 0 || !matchAny(exclude, name))
}

// matchParts keeps, for each count of pattern elements, whether they match the
// name elements so far: no input makes it slow.
func matchParts(pattern, name []string) bool {
	at := make([]bool, len(pattern)+1)
	at[0] = true
	skip := func() {
		for i, p := range pattern {
			at[i+1] = at[i+1] || at[i] && p == "**"
		}
	}
	skip()
	for _, n := range name {
		for i := len(pattern); i > 0; i-- {
			ok, _ := path.Match(pattern[i-1], n) // checkPatterns has seen it
			at[i] = at[i-1] && ok || at[i] && pattern[i-1] == "**"
		}
		at[0] = false
		skip()
	}
	return at[len(pattern)]
}
