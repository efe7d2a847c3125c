package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/invopop/jsonschema"
)

// A Size is a number of bytes. In JSON it is that number, or text such as
// "8GB" (10⁹ bytes each) or "512MiB" (2²⁰ each).
type Size int64

var errSize = errors.New(`is no size; write a number of bytes, "8GB" or "512MiB"`)

// ParseSize reads a size.
func ParseSize(text string) (Size, error) {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > math.MaxInt64 {
		return 0, fmt.Errorf("%q %w", text, errSize)
	}
	return Size(n), nil
}

// UnmarshalJSON reads a number or text.
func (s *Size) UnmarshalJSON(data []byte) error {
	text, err := textOf(data)
	if err != nil {
		return err
	}
	*s, err = ParseSize(text)
	return err
}

// MarshalJSON writes the shortest text that is exact.
func (s Size) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// String is the shortest text that is exact.
func (s Size) String() string {
	for _, u := range []struct {
		name  string
		bytes Size
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}} {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// JSONSchema says that a size is a number or text.
func (Size) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		AnyOf:    []*jsonschema.Schema{{Type: "integer", Minimum: "0"}, {Type: "string", Pattern: `^[0-9]+(\.[0-9]+)? ?([kKMGTP]i?)?[bB]?$`}},
		Examples: []any{"8GB", "512MiB", 1048576},
	}
}

// A Duration is a time span. In JSON it is a number of seconds, or text such
// as "30s" or "5m".
type Duration time.Duration

var errDuration = errors.New(`is no duration; write a number of seconds, "30s" or "5m"`)

// ParseDuration reads a duration, which is not negative.
func ParseDuration(text string) (Duration, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds >= 0 && seconds < math.MaxInt32 {
		return Duration(seconds * float64(time.Second)), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q %w", text, errDuration)
	}
	return Duration(d), nil
}

// UnmarshalJSON reads a number or text.
func (d *Duration) UnmarshalJSON(data []byte) error {
	text, err := textOf(data)
	if err != nil {
		return err
	}
	*d, err = ParseDuration(text)
	return err
}

// MarshalJSON writes text.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// JSONSchema says that a duration is a number or text.
func (Duration) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		AnyOf:    []*jsonschema.Schema{{Type: "number", Minimum: "0"}, {Type: "string", Pattern: `^[0-9]+(\.[0-9]+)?$|^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`}},
		Examples: []any{30, "30s", "5m"},
	}
}

// textOf is a JSON number or string as text.
func textOf(data []byte) (string, error) {
	if len(data) > 0 && data[0] == '"' {
		var text string
		err := json.Unmarshal(data, &text)
		return text, err
	}
	var n json.Number
	err := json.Unmarshal(data, &n)
	return n.String(), err
}
