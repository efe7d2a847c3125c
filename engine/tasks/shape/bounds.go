package shape

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// What is written of numbers within bounds is bounded itself: so many digits
// before the point, and so many places that no two numbers near a bound are the
// same in double precision.
const (
	maxDigits = 15
	maxBound  = 999_999_999_999_999 // of so many digits
)

// maxExponent bounds that of a bound, as it is written in the schema.
const maxExponent = 99

// bounds are the least and the most that a number may be, in units of its last
// place.
type bounds struct {
	least, most *big.Int
	places      int // behind the point
}

// A limit is a bound as the schema has it.
type limit struct {
	name      string
	text      json.Number
	value     *big.Rat
	below     bool // it is the least, else the most
	exclusive bool
}

// limits are the bounds that a schema has.
func (s schema) limits(at string) ([]limit, error) {
	var out []limit
	for _, l := range []limit{
		{name: "minimum", text: s.Minimum, below: true},
		{name: "exclusiveMinimum", text: s.Above, below: true, exclusive: true},
		{name: "maximum", text: s.Maximum},
		{name: "exclusiveMaximum", text: s.Below, exclusive: true},
	} {
		if l.text == "" {
			continue
		}
		if l.value = rational(l.text); l.value == nil {
			return nil, &SchemaError{at, fmt.Sprintf("has the %s %.100s, which is not known here", l.name, l.text), fmt.Sprintf("use one of %d digits", maxDigits)}
		}
		out = append(out, l)
	}
	return out, nil
}

// rational is what a number stands for exactly; nil if that would be large.
func rational(n json.Number) *big.Rat {
	_, exponent, found := strings.Cut(strings.ToLower(string(n)), "e")
	if e, err := strconv.Atoi(exponent); len(n) > 2*maxExponent || found && (err != nil || e < -maxExponent || e > maxExponent) {
		return nil
	}
	r, ok := new(big.Rat).SetString(string(n))
	if !ok {
		return nil
	}
	return r
}

// bounded are the numbers of a type within limits.
func (c *compiler) bounded(t, at string, limits []limit) (*expr, error) {
	b, err := within(t, at, limits)
	if err != nil {
		return nil, err
	}
	return c.numbers(b), nil
}

// within is what limits leave of a type.
func within(t, at string, limits []limit) (bounds, error) {
	var b bounds
	if t == "number" {
		b.places = places(limits)
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(b.places)), nil)
	b.most = new(big.Int).Mul(big.NewInt(maxBound+1), unit)
	b.most.Sub(b.most, big.NewInt(1))
	b.least = new(big.Int).Neg(b.most)
	for _, l := range limits {
		scaled := new(big.Rat).Mul(l.value, new(big.Rat).SetInt(unit))
		if t == "number" && !far(l.value) && !scaled.IsInt() {
			return b, &SchemaError{at, fmt.Sprintf("has the %s %s, which has more than %d digits", l.name, l.text, maxDigits), "round it"}
		}
		v := l.nearest(scaled)
		if l.below && v.Cmp(b.least) > 0 {
			b.least = v
		} else if !l.below && v.Cmp(b.most) < 0 {
			b.most = v
		}
	}
	if b.least.Cmp(b.most) > 0 {
		return b, &SchemaError{at, "asks for more than it allows", "let the least be at most the most"}
	}
	return b, nil
}

// nearest is the whole number that is within a limit and closest to it.
func (l limit) nearest(v *big.Rat) *big.Int {
	out, rest := new(big.Int).DivMod(v.Num(), v.Denom(), new(big.Int)) // rounds down
	if l.below && (l.exclusive || rest.Sign() != 0) {
		out.Add(out, big.NewInt(1))
	} else if !l.below && l.exclusive && rest.Sign() == 0 {
		out.Sub(out, big.NewInt(1))
	}
	return out
}

// far reports whether no number that is written reaches v.
func far(v *big.Rat) bool {
	return new(big.Rat).Abs(v).Cmp(new(big.Rat).SetInt64(maxBound)) > 0
}

// places are how many of them leave the limits maxDigits digits.
func places(limits []limit) int {
	least := maxDigits
	for _, l := range limits {
		if far(l.value) {
			continue
		}
		v := new(big.Int).Abs(l.value.Num())
		if v.Quo(v, l.value.Denom()); v.Sign() != 0 {
			least = min(least, maxDigits-len(v.String()))
		}
	}
	return least
}

// numbers are those within bounds, without exponents.
func (c *compiler) numbers(b bounds) *expr {
	out, most := c.none, new(big.Int).Neg(b.least)
	if b.most.Sign() >= 0 {
		least := b.least
		if least.Sign() < 0 {
			least = new(big.Int)
		}
		out = c.unsigned(least, b.most, b.places)
	}
	if most.Sign() > 0 {
		least := new(big.Int).Neg(b.most)
		if least.Sign() <= 0 {
			least.SetInt64(1) // there is no -0
		}
		out = c.alt(out, c.cat(c.text("-"), c.unsigned(least, most, b.places)))
	}
	return out
}

// unsigned are the numbers from least to most, of so many places.
func (c *compiler) unsigned(least, most *big.Int, places int) *expr {
	split := func(v *big.Int) (int64, string) {
		digits := fmt.Sprintf("%0*s", maxDigits+places, v)
		whole, _ := strconv.ParseInt(digits[:maxDigits], 10, 64) // it has only digits
		return whole, digits[maxDigits:]
	}
	from, a := split(least)
	to, b := split(most)
	if from == to {
		return c.cat(c.text(strconv.FormatInt(from, 10)), c.fraction(a, b))
	}
	zeros, nines := strings.Repeat("0", places), strings.Repeat("9", places)
	return c.alt(
		c.cat(c.text(strconv.FormatInt(from, 10)), c.fraction(a, nines)),
		c.cat(c.decimals(from+1, to-1), c.fraction(zeros, nines)),
		c.cat(c.text(strconv.FormatInt(to, 10)), c.fraction(zeros, b)),
	)
}

// fraction is what follows a whole number: digits that, with zeros behind them,
// are from a to b, and nothing where that is.
func (c *compiler) fraction(a, b string) *expr {
	if a == "" {
		return c.blank
	}
	return c.unlessZero(a, c.cat(c.text("."), c.places(a, b)))
}

// unlessZero has e be left out where a is nothing but zeros.
func (c *compiler) unlessZero(a string, e *expr) *expr {
	if strings.Trim(a, "0") == "" {
		return c.optional(e)
	}
	return e
}

// places are digits, one at least, that with zeros behind them are from a to b.
func (c *compiler) places(a, b string) *expr {
	if strings.Trim(a, "0")+strings.Trim(b, "9") == "" {
		return c.repeat(c.bytes([2]byte{'0', '9'}), 1, len(a))
	}
	n := len(a) - 1
	rest := func(a, b string) *expr {
		if n == 0 {
			return c.blank
		}
		return c.unlessZero(a, c.places(a, b))
	}
	if a[0] == b[0] {
		return c.cat(c.text(a[:1]), rest(a[1:], b[1:]))
	}
	zeros, nines := strings.Repeat("0", n), strings.Repeat("9", n)
	out := c.alt(c.cat(c.text(a[:1]), rest(a[1:], nines)), c.cat(c.text(b[:1]), rest(zeros, b[1:])))
	if a[0]+1 < b[0] {
		out = c.alt(out, c.cat(c.bytes([2]byte{a[0] + 1, b[0] - 1}), rest(zeros, nines)))
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
