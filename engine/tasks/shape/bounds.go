package shape

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// maxBound bounds minimum and maximum: beyond it no integer is written.
const maxBound = 999_999_999_999_999

// bounds are the least and the most that a number may be.
type bounds struct {
	least, most int64
	set         bool
}

// bounds reads minimum, maximum and what excludes their value.
func (s schema) bounds(t, at string) (bounds, error) {
	b := bounds{least: -maxBound, most: maxBound}
	for _, limit := range []struct {
		name  string
		value json.Number
		apply func(v float64)
	}{
		{"minimum", s.Minimum, func(v float64) { b.least = max(b.least, clamp(math.Ceil(v))) }},
		{"exclusiveMinimum", s.Above, func(v float64) { b.least = max(b.least, clamp(math.Floor(v)+1)) }},
		{"maximum", s.Maximum, func(v float64) { b.most = min(b.most, clamp(math.Floor(v))) }},
		{"exclusiveMaximum", s.Below, func(v float64) { b.most = min(b.most, clamp(math.Ceil(v)-1)) }},
	} {
		if limit.value == "" {
			continue
		}
		v, err := limit.value.Float64()
		if err != nil {
			return b, &SchemaError{at, fmt.Sprintf("has a %s of %s, which is no number", limit.name, limit.value), "use a number"}
		}
		if t == "number" && (v != math.Trunc(v) || strings.HasPrefix(limit.name, "exclusive")) {
			return b, &SchemaError{at, fmt.Sprintf("has a %s of %s, which is not known here of the type number", limit.name, limit.value), "use minimum and maximum that are whole, or the type integer"}
		}
		limit.apply(v)
		b.set = true
	}
	if b.least > b.most {
		return b, &SchemaError{at, "asks for more than it allows", "let the least be at most the most"}
	}
	return b, nil
}

func clamp(v float64) int64 { return int64(min(max(v, -maxBound-1), maxBound+1)) }

// bounded are the numbers of a type within bounds.
func (c *compiler) bounded(t string, b bounds) *expr {
	if t == "integer" {
		return c.integers(b)
	}
	return c.numbers(b)
}

// integers are those within bounds.
func (c *compiler) integers(b bounds) *expr {
	out := c.none
	if b.most >= 0 {
		out = c.decimals(max(b.least, 0), b.most)
	}
	if b.least < 0 {
		out = c.alt(out, c.cat(c.text("-"), c.decimals(max(-b.most, 1), -b.least)))
	}
	return out
}

// numbers are those within bounds, without exponents.
func (c *compiler) numbers(b bounds) *expr {
	fraction := c.optional(c.cat(c.text("."), c.repeat(c.bytes([2]byte{'0', '9'}), 1, 15)))
	zeros := c.optional(c.cat(c.text("."), c.repeat(c.text("0"), 1, 15)))
	side := func(least, most int64) *expr {
		out := c.cat(c.text(strconv.FormatInt(most, 10)), zeros)
		if least < most {
			out = c.alt(out, c.cat(c.decimals(least, most-1), fraction))
		}
		return out
	}
	out := c.none
	if b.most >= 0 {
		out = side(max(b.least, 0), b.most)
	}
	if b.least < 0 {
		out = c.alt(out, c.cat(c.text("-"), side(max(-b.most, 0), -b.least)))
	}
	return out
}

// decimals are the whole numbers from least, which is not negative, to most.
func (c *compiler) decimals(least, most int64) *expr {
	out := c.none
	for from := least; from <= most; {
		a := strconv.FormatInt(from, 10)
		to := most
		if longest := strings.Repeat("9", len(a)); len(longest) < len(strconv.FormatInt(most, 10)) {
			to, _ = strconv.ParseInt(longest, 10, 64) // of at most 15 digits
		}
		out = c.alt(out, c.between(a, strconv.FormatInt(to, 10)))
		from = to + 1
	}
	return out
}

// between are the strings of digits from one to another of the same length.
func (c *compiler) between(a, b string) *expr {
	if a == "" {
		return c.blank
	}
	if strings.Trim(a, "0")+strings.Trim(b, "9") == "" {
		return c.repeat(c.bytes([2]byte{'0', '9'}), len(a), len(a))
	}
	if a[0] == b[0] {
		return c.cat(c.text(a[:1]), c.between(a[1:], b[1:]))
	}
	n := len(a) - 1
	out := c.alt(c.cat(c.text(a[:1]), c.between(a[1:], strings.Repeat("9", n))), c.cat(c.text(b[:1]), c.between(strings.Repeat("0", n), b[1:])))
	if a[0]+1 < b[0] {
		out = c.alt(out, c.cat(c.bytes([2]byte{a[0] + 1, b[0] - 1}), c.repeat(c.bytes([2]byte{'0', '9'}), n, n)))
	}
	return out
}
