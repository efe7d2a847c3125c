package tools

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// sample has a field of every kind that tools have.
type sample struct {
	N       int                  `json:"n,omitempty" jsonschema:"minimum=1,maximum=1000"`
	Big     int64                `json:"big,omitempty"`
	X       float64              `json:"x,omitempty"`
	On      bool                 `json:"on,omitempty"`
	Word    string               `json:"word,omitempty" jsonschema:"enum=one,enum=two"`
	Text    string               `json:"text,omitempty" jsonschema:"maxLength=20"`
	Texts   []string             `json:"texts,omitempty"`
	Sizes   []int                `json:"sizes,omitempty"`
	Tensors []engine.TensorInput `json:"tensors,omitempty"`
	Free    engine.Object        `json:"free,omitzero"`
}

func readSample(args string) (sample, error) {
	var s sample
	err := newArgumentReader(inputSchema(s)).read(json.RawMessage(args), &s)
	return s, err
}

// What an agent gets nearly right is put right if nothing is lost by it.
func TestRead_mends(t *testing.T) {
	for args, want := range map[string]sample{
		``: {}, `null`: {}, ` {} `: {}, `{"n":null,"texts":null,"free":null}`: {},
		`{"n":"8"}`: {N: 8}, `{"n":8.0}`: {N: 8}, `{"n":"8.0"}`: {N: 8}, `{"n":1e2}`: {N: 100}, `{"x":"1.5"}`: {X: 1.5}, `{"x":2}`: {X: 2},
		`{"on":"true"}`: {On: true}, `{"on":"false"}`: {}, `{"text":8}`: {Text: "8"}, `{"text":1.50}`: {Text: "1.50"},
		`{"texts":"x"}`: {Texts: []string{"x"}}, `{"texts":8}`: {Texts: []string{"8"}}, `{"texts":["a",8]}`: {Texts: []string{"a", "8"}},
		`{"texts":"[1, 2]"}`: {Texts: []string{"[1, 2]"}}, // a text may look like anything
		`{"sizes":"8"}`:      {Sizes: []int{8}}, `{"sizes":8}`: {Sizes: []int{8}}, `{"sizes":["1",2]}`: {Sizes: []int{1, 2}}, `{"sizes":"[1,\"2\"]"}`: {Sizes: []int{1, 2}},
		`{"free":{"a":"8"}}`:                                {Free: engine.Object{RawMessage: json.RawMessage(`{"a":"8"}`)}}, // its own matter
		`{"free":"{\"a\":8}"}`:                              {Free: engine.Object{RawMessage: json.RawMessage(`{"a":8}`)}},
		`{"tensors":{"name":"x","shape":"2","data":["1"]}}`: {Tensors: []engine.TensorInput{{Name: "x", Shape: []int64{2}, Data: engine.Numbers{"1"}}}},
		`{"tensors":[{"name":"x","dtype":null}]}`:           {Tensors: []engine.TensorInput{{Name: "x"}}},
		// exact beyond what a float64 holds
		`{"big":9007199254740993}`: {Big: 9007199254740993}, `{"big":"9007199254740993"}`: {Big: 9007199254740993},
		`{"big":9223372036854775807,"n":"1"}`: {Big: 9223372036854775807, N: 1}, `{"big":-9223372036854775808,"n":"1"}`: {Big: -9223372036854775808, N: 1},
		`{"tensors":[{"name":"x","data":[9223372036854775807]}],"n":"2"}`: {N: 2, Tensors: []engine.TensorInput{{Name: "x", Data: engine.Numbers{"9223372036854775807"}}}},
	} {
		got, err := readSample(args)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", args, err, diff)
		}
	}
}

// What is wrong is said, and never guessed.
func TestRead_refuses(t *testing.T) {
	fields := []string{"big", "free", "n", "on", "sizes", "tensors", "text", "texts", "word", "x"}
	deep := strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000)
	for args, want := range map[string]engine.ErrorInfo{
		`{"txt":"x"}`:               {Code: errUnknownArgument, Message: `unknown argument "txt"`, Hint: `did you mean "text"?`, ValidValues: fields},
		`{"zzzzzzz":1,"aaaaaaa":2}`: {Code: errUnknownArgument, Message: `unknown argument "aaaaaaa"`, Hint: "use one of the valid values", ValidValues: fields},
		`{"n":"x","txt":1}`:         {Code: errUnknownArgument, Message: `unknown argument "txt"`, Hint: `did you mean "text"?`, ValidValues: fields},
		`{"tensors":[{"name":"x","sape":[1]}]}`: {
			Code: errUnknownArgument, Message: `unknown argument "tensors.0.sape"`, Hint: `did you mean "shape"?`,
			ValidValues: []string{"base64", "data", "dtype", "file", "name", "shape", "strings"},
		},
		`{"n":8.5}`:                        {Message: `argument "n" is a number, not an integer`},
		`{"n":"8.5"}`:                      {Message: `argument "n" is a number, not an integer`},
		`{"n":"eight"}`:                    {Message: `argument "n" is a string, not an integer`},
		`{"n":"0x8"}`:                      {Message: `argument "n" is a string, not an integer`},
		`{"n":""}`:                         {Message: `argument "n" is a string, not an integer`},
		`{"n":true}`:                       {Message: `argument "n" is a boolean, not an integer`},
		`{"n":[8]}`:                        {Message: `argument "n" is an array, not an integer`},
		`{"n":0}`:                          {Message: `argument "n" must be at least 1`},
		`{"n":"1001"}`:                     {Message: `argument "n" must be at most 1000`},
		`{"x":"NaN"}`:                      {Message: `argument "x" is a string, not a number`},
		`{"x":1e999}`:                      {Message: `argument "x" is out of range`},
		`{"x":1e999999999}`:                {Message: `argument "x" is out of range`},
		`{"n":1e999999999}`:                {Message: `argument "n" is a number, not an integer`},
		`{"n":"-1e99999"}`:                 {Message: `argument "n" is a string, not an integer`},
		`{"on":"yes"}`:                     {Message: `argument "on" is a string, not a boolean`},
		`{"on":1}`:                         {Message: `argument "on" is a number, not a boolean`},
		`{"text":true}`:                    {Message: `argument "text" is a boolean, not a string`},
		`{"text":["x"]}`:                   {Message: `argument "text" is an array, not a string`},
		`{"texts":[null]}`:                 {Message: `argument "texts.0" is null, not a string`},
		`{"sizes":["x"]}`:                  {Message: `argument "sizes.0" is a string, not an integer`},
		`{"sizes":"[1"}`:                   {Message: `argument "sizes" is a string, not an array`},
		`{"free":[1]}`:                     {Message: `argument "free" is an array, not an object`},
		`{"free":"{bad"}`:                  {Message: `argument "free" is a string, not an object`},
		`{"word":"tvo"}`:                   {Message: `argument "word" is "tvo"`, Hint: `did you mean "two"?`, ValidValues: []string{"one", "two"}},
		`{"word":"?"}`:                     {Message: `argument "word" is "?"`, Hint: "use one of the valid values", ValidValues: []string{"one", "two"}},
		`{"big":9223372036854775808}`:      {Message: `argument "big" is out of range`},
		`{"big":1e30}`:                     {Message: `argument "big" is out of range`},
		`{"text":"123456789012345678901"}`: {Message: `argument "text" is longer than 20 characters`},
		`[]`:                               {Message: "the arguments are not an object", Hint: "pass {} for the defaults"},
		`"x"`:                              {Message: "the arguments are not an object", Hint: "pass {} for the defaults"},
		`{`:                                {Message: "the arguments are not JSON: unexpected EOF"},
		deep:                               {Message: "the arguments are not JSON: invalid character '{' exceeded max depth"},
		`{"free":` + deep + `}`:            {Message: "the arguments are not JSON: invalid character '{' exceeded max depth"},
	} {
		if want.Code == "" {
			want.Code = engine.ErrInvalidArgument
		}
		for range 3 { // always the same of several mistakes
			_, err := readSample(args)
			if err == nil {
				t.Errorf("%.60s was taken", args)
				break
			}
			if diff := cmp.Diff(want, *engine.Explain(err), cmpopts.IgnoreFields(engine.ErrorInfo{}, "Retryable")); diff != "" {
				t.Errorf("%.60s: %s", args, diff)
			}
		}
	}
}

// A caller's own text is repeated in part only.
func TestErrors_areShort(t *testing.T) {
	long := strings.Repeat("ä", 1<<20)
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprint("name", i))
	}
	e := engine.Errorf(engine.ErrModelNotFound, "unknown model %q", long)
	e.ValidValues = many
	for args, e := range map[string]*fake{
		`{"` + long + `":1}`: failing(nil), `{"report":"` + long + `"}`: failing(nil), `{"` + long + `x":1}`: failing(nil), `{}`: failing(e),
	} {
		res := call(t, tool(t, e, "query_results"), args)
		if size := len(res.StructuredContent.(json.RawMessage)); size > 8000 {
			t.Errorf("%.20s: an error of %d bytes", args, size)
		}
		if info := failed(t, res); strings.ContainsRune(info.Message, '\uFFFD') {
			t.Errorf("%.20s: a letter was cut: %s", args, info.Message)
		}
	}
}

// Every tool has the middleware before it.
func TestTools_unknownArgument(t *testing.T) {
	for _, tool := range All(failing(nil), nil) {
		info := failed(t, call(t, tool, `{"detial":"full"}`))
		if info.Code != errUnknownArgument || !slices.IsSorted(info.ValidValues) || len(info.ValidValues) < 3 || info.Retryable {
			t.Errorf("%s: %+v", tool.Tool.Name, info)
		}
	}
	info := failed(t, call(t, tool(t, failing(nil), "run_inference"), `{"modl":"x"}`))
	if info.Hint != `did you mean "model"?` {
		t.Errorf("%+v", info)
	}
}
