package ipfsstore

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/ipfs/go-cid"
)

// A Ref is a parsed reference to a model: a CID with an optional path below
// it, or a name in the catalogue.
type Ref struct {
	CID  cid.Cid // undefined if the reference is a name
	Path string  // slash-separated, without a leading slash; "" for the root
	Name string  // NAME or NAME:TAG, without the tag "latest"
}

const (
	maxRefLen    = 4096
	maxNameLen   = 128
	defaultTag   = ":latest"
	minCIDLen    = 46 // of a sha2-256 CID in any base of at most 6 bits a character
	identityText = "bafkqa"
)

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*(:[A-Za-z0-9._-]+)?$`)

// ParseRef parses CID, CID/path, /ipfs/CID[/path], ipfs://CID[/path] or
// name[:tag]. Its errors are [ErrInvalidRef] and [ErrUnsupportedCID].
func ParseRef(s string) (Ref, error) {
	if len(s) > maxRefLen || !utf8.ValidString(s) {
		return Ref{}, fmt.Errorf("%w: longer than %d bytes or not UTF-8", ErrInvalidRef, maxRefLen)
	}
	if rest, ok := strings.CutPrefix(s, "ipfs://"); ok {
		return parseURI(s, rest)
	}
	if rest, ok := strings.CutPrefix(s, "/ipfs/"); ok {
		return parseContentPath(s, rest)
	}
	if first, _, _ := strings.Cut(s, "/"); looksLikeCID(first) {
		return parseContentPath(s, s)
	}
	name, err := parseName(s)
	return Ref{Name: name}, err
}

// String returns the reference in the form that [ParseRef] reads back.
func (r Ref) String() string {
	switch {
	case !r.CID.Defined():
		return r.Name
	case r.Path == "":
		return r.CID.String()
	}
	return "/ipfs/" + r.CID.String() + "/" + r.Path
}

// looksLikeCID tells a CID, perhaps a mistyped one, from a name.
func looksLikeCID(s string) bool {
	if strings.HasPrefix(s, identityText) {
		return true
	}
	if len(s) < minCIDLen || strings.ContainsAny(s, "-._:") {
		return false
	}
	return strings.HasPrefix(s, "Qm") || strings.HasPrefix(s, "ba") || cidDecodes(s)
}

func cidDecodes(s string) bool {
	_, err := cid.Decode(s)
	return err == nil
}

func parseURI(whole, rest string) (Ref, error) {
	if strings.ContainsAny(rest, "?#") {
		return Ref{}, fmt.Errorf("%w %q: a query or fragment", ErrInvalidRef, whole)
	}
	plain, err := url.PathUnescape(rest)
	if err != nil {
		return Ref{}, fmt.Errorf("%w %q: %w", ErrInvalidRef, whole, err)
	}
	return parseContentPath(whole, plain)
}

func parseContentPath(whole, rest string) (Ref, error) {
	first, below, _ := strings.Cut(rest, "/")
	c, err := cid.Decode(first)
	if err != nil {
		return Ref{}, fmt.Errorf("%w %q: %w", ErrInvalidRef, whole, err)
	}
	if err := checkCID(c); err != nil {
		return Ref{}, err
	}
	below = strings.TrimSuffix(below, "/")
	if below == "" {
		return Ref{CID: c}, nil
	}
	for name := range strings.SplitSeq(below, "/") {
		if err := checkFileName(name); err != nil {
			return Ref{}, fmt.Errorf("%w %q: %w", ErrInvalidRef, whole, err)
		}
	}
	return Ref{CID: c, Path: below}, nil
}

// parseName checks a catalogue name and returns its canonical form.
func parseName(s string) (string, error) {
	if len(s) > maxNameLen || !namePattern.MatchString(s) {
		return "", fmt.Errorf("%w %.*q: a name is letters, digits, '.', '_', '-' and '/', with an optional :tag",
			ErrInvalidRef, maxNameLen, s)
	}
	return strings.TrimSuffix(s, defaultTag), nil
}

// checkFileName refuses what may not be one element of a path, whatever the
// system: a model that is added on one must be usable on the others.
func checkFileName(name string) error {
	switch {
	case name == "", name == ".", name == "..":
		return fmt.Errorf("%w: file name %q", ErrInvalidDAG, name)
	case len(name) > 255:
		return fmt.Errorf("%w: file name of %d bytes", ErrInvalidDAG, len(name))
	case !utf8.ValidString(name), strings.ContainsAny(name, "/\\\x00"):
		return fmt.Errorf("%w: file name %q", ErrInvalidDAG, name)
	}
	return checkLocalName(name)
}

// cleanJoin appends one checked element to a slash-separated path.
func cleanJoin(dir, name string) string {
	if dir == "" {
		return name
	}
	return path.Join(dir, name)
}
