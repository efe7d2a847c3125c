package shape

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemas are some of each kind.
var schemas = []string{
	`{"type":"string"}`, `{"type":"string","minLength":2,"maxLength":4}`, `{"type":"integer"}`, `{"type":"number"}`, `{"type":"boolean"}`, `{"type":"null"}`,
	`{"enum":["red","green",3,null,{"a":1}]}`, `{"const":"é\n"}`, `{"type":["string","null"],"maxLength":3}`,
	`{"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3}`, `{"type":"array","items":{"type":"string"}}`, `{"type":"array","items":{"type":"null"},"maxItems":0}`,
	`{"type":"object","properties":{"name":{"type":"string","maxLength":8},"age":{"type":"integer"},"tags":{"type":"array","items":{"enum":["a","b"]},"maxItems":2}},"required":["name"],"additionalProperties":false}`,
	`{"type":"object","properties":{"a":{"type":"boolean"},"b":{"type":"boolean"},"c":{"type":"boolean"}}}`, `{"type":"object"}`,
	`{"anyOf":[{"type":"object","properties":{"kind":{"const":"x"},"n":{"type":"number"}},"required":["kind","n"]},{"type":"null"}]}`,
	// 16 and on: references, patterns, bounds
	`{"$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"l":{"$ref":"#/$defs/node"},"r":{"$ref":"#/$defs/node"}},"required":["v"],"additionalProperties":false}},"$ref":"#/$defs/node"}`,
	`{"type":"object","properties":{"a":{"$ref":"#/definitions/x~1y"},"more":{"type":"array","items":{"$ref":"#"}}},"required":["a"],"additionalProperties":false,"definitions":{"x/y":{"enum":["p","q"]}}}`,
	`{"type":"string","pattern":"^[A-Z]{2}-\\d{3,4}$"}`, `{"type":"string","pattern":"b+|^x"}`, `{"type":"string","pattern":"^(?:é|[α-ω]|\\W|\\\\)*$"}`, `{"type":"string","pattern":"^(?i)straße .$"}`,
	`{"type":"integer","minimum":-12,"maximum":1050}`, `{"type":"integer","exclusiveMinimum":0}`, `{"type":"integer","maximum":-3}`, `{"type":["integer","null"],"minimum":7,"maximum":7}`,
	`{"type":"number","minimum":0,"maximum":1}`, `{"type":"number","minimum":-20,"maximum":-3}`, `{"type":"number","minimum":-5}`, `{"type":"integer","minimum":0.5,"exclusiveMaximum":99.5}`,
	// 30 and on: bounds of numbers that are no whole ones, or excluded
	`{"type":"number","minimum":0.25,"maximum":1.5}`, `{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}`, `{"type":"number","exclusiveMinimum":-1.05,"maximum":-0.999}`,
	`{"type":"number","minimum":-0.5,"exclusiveMaximum":0.125}`, `{"type":"number","exclusiveMinimum":3}`, `{"type":"number","minimum":2.5e-3,"maximum":2.5E-3}`, `{"type":"number","exclusiveMaximum":123456789012345}`,
	`{"type":"integer","exclusiveMinimum":-3,"exclusiveMaximum":3}`, `{"type":["number","null"],"minimum":-1e30,"exclusiveMaximum":100000}`, `{"type":"integer","minimum":-2.5,"maximum":1e1}`,
	`{"title":"T","description":"d","type":"object","properties":{"in":{"type":"object","properties":{"very":{"type":"array","items":{"type":"object","properties":{"deep":{"type":"boolean"}},"required":["deep"]},"minItems":2}},"required":["very"]}},"required":["in"]}`,
}

// letters are tokens of a byte each, and some that are longer.
func letters() [][]byte {
	tokens := make([][]byte, 256, 300)
	for b := range tokens {
		tokens[b] = []byte{byte(b)}
	}
	for _, s := range []string{`{"`, `":`, `", "`, `"}`, "true", "fal", `\u00`, "name", "é", "日", "[[", `"a"`, "0.5", "nu", "}}", "123", "e1", " ", `,"b`, "\U0001F355"} {
		tokens = append(tokens, []byte(s))
	}
	return append(tokens, nil)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// validator is another's reading of a schema.
func validator(t testing.TB, schema string) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	must(t, err)
	c := jsonschema.NewCompiler()
	must(t, c.AddResource("s.json", doc))
	s, err := c.Compile("s.json")
	must(t, err)
	return s
}

// fits reports whether a text is JSON that a schema allows.
func fits(s *jsonschema.Schema, text string) error {
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// Whatever is chosen of what is allowed, the text ends in time and fits.
func TestText_alwaysFits(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	v := NewVocabulary(letters())
	rounds := 20
	if os.Getenv("STRESS") != "" {
		rounds *= 10
	}
	for _, schema := range schemas {
		s := validator(t, schema)
		for i := range rounds {
			text, err := New([]byte(schema), v)
			must(t, err)
			limit := text.Least() + random.IntN(40)
			for left := limit; left > 0 && !text.Done(); left-- {
				var ids []int
				must(t, text.Allowed(left-1, func(id int) { ids = append(ids, id) }))
				if text.MayEnd() && random.IntN(4) == 0 {
					break
				}
				if len(ids) == 0 {
					if !text.MayEnd() {
						t.Fatalf("%s: nothing may follow %q", schema, text.Bytes())
					}
					break
				}
				text.Write(ids[random.IntN(len(ids))])
			}
			if err := fits(s, string(text.Bytes())); err != nil || !text.MayEnd() || !utf8.Valid(text.Bytes()) {
				t.Fatalf("%s, %d: %q: %v", schema, i, text.Bytes(), err)
			}
		}
	}
}

// What fits can be written, and what does not can't.
func TestText_accepts(t *testing.T) {
	v := NewVocabulary(letters())
	for _, c := range []struct {
		schema, text string
		want         bool
	}{
		{schemas[0], `"é🍕日\n\u00e9\ud7ff"`, true},
		{schemas[0], `"` + "\n" + `"`, false},
		{schemas[0], `"\ud800"`, false},
		{schemas[0], "\"\xff\"", false},
		{schemas[0], "\"\xed\xa0\x80\"", false},
		{schemas[1], `"é日"`, true},
		{schemas[1], `"é"`, false},
		{schemas[1], `"abcde"`, false},
		{schemas[2], `-120`, true},
		{schemas[2], `012`, false},
		{schemas[2], `1.0`, false},
		{schemas[3], `-0.5e-10`, true},
		{schemas[3], `.5`, false},
		{schemas[3], `1.`, false},
		{schemas[6], `{"a":1}`, true},
		{schemas[6], `4`, false},
		{schemas[9], `[1, 2,3]`, true},
		{schemas[9], `[]`, false},
		{schemas[9], `[1,2,3,4]`, false},
		{schemas[11], `[]`, true},
		{schemas[12], `{"name": "Ann", "tags":["a"]}`, true},
		{schemas[12], `{"age":1}`, false},
		{schemas[12], `{"name":"x","other":1}`, false},
		{schemas[12], `{"name":"x",}`, false},
		{schemas[13], `{"b":true,"c":false}`, true},
		{schemas[13], `{}`, true},
		{schemas[15], `null`, true},
		{schemas[15], `{"kind":"x","n":1}`, true},
		{schemas[15], `{"kind":"y","n":1}`, false},
		{schemas[16], `{"v":1,"l":{"v":2,"r":{"v":3}}}`, true},
		{schemas[16], `{"v":1,"l":{"r":{"v":3}}}`, false},
		{schemas[16], `{"v":1,"l":{"v":2,"l":{"v":3,"l":{"v":4,"l":{"v":5}}}}}`, false}, // deeper than is followed
		{schemas[17], `{"a":"p","more":[{"a":"q"}]}`, true},
		{schemas[18], `"AB-123"`, true},
		{schemas[18], `"xAB-123"`, false},
		{schemas[18], `"AB-12345"`, false},
		{schemas[19], `"aabcc"`, true},
		{schemas[19], `"xaa"`, true},
		{schemas[19], `"ax"`, false},
		{schemas[20], `"éω\\ "`, true},
		{schemas[20], `"a"`, false},
		{schemas[21], `"STRAßE é"`, true},
		{schemas[22], `-12`, true},
		{schemas[22], `-13`, false},
		{schemas[22], `1050`, true},
		{schemas[22], `1051`, false},
		{schemas[22], `0`, true},
		{schemas[23], `0`, false},
		{schemas[24], `-2`, false},
		{schemas[24], `-30`, true},
		{schemas[26], `0.25`, true},
		{schemas[26], `1.0`, true},
		{schemas[26], `1.01`, false},
		{schemas[27], `-3.5`, true},
		{schemas[27], `-2.99`, false},
		{schemas[29], `99`, true},
		{schemas[29], `100`, false},
		{schemas[30], `0.25`, true},
		{schemas[30], `0.250`, true},
		{schemas[30], `0.2499`, false},
		{schemas[30], `1`, true},
		{schemas[30], `1.50`, true},
		{schemas[30], `1.500001`, false},
		{schemas[30], `1.`, false},
		{schemas[30], `01`, false},
		{schemas[31], `0`, false},
		{schemas[31], `0.000`, false},
		{schemas[31], `0.001`, true},
		{schemas[31], `0.99999`, true},
		{schemas[31], `1.0`, false},
		{schemas[32], `-1.05`, false},
		{schemas[32], `-1.0499`, true},
		{schemas[32], `-1`, true},
		{schemas[32], `-0.999`, true},
		{schemas[32], `-0.9989`, false},
		{schemas[33], `0`, true},
		{schemas[33], `-0.5`, true},
		{schemas[33], `0.1249`, true},
		{schemas[33], `0.125`, false},
		{schemas[34], `3.0`, false},
		{schemas[34], `3.01`, true},
		{schemas[34], `400`, true},
		{schemas[35], `0.0025`, true},
		{schemas[35], `0.00251`, false},
		{schemas[36], `123456789012344`, true},
		{schemas[36], `123456789012345`, false},
		{schemas[37], `-2`, true},
		{schemas[37], `3`, false},
		{schemas[37], `2.5`, false},
		{schemas[38], `-99999999`, true},
		{schemas[38], `99999.999999999`, true},
		{schemas[38], `100000`, false},
		{schemas[39], `10`, true},
		{schemas[39], `-3`, false},
	} {
		text, err := New([]byte(c.schema), v)
		must(t, err)
		for i := range len(c.text) {
			text.Write(int(c.text[i]))
		}
		if text.MayEnd() != c.want {
			t.Errorf("%s: %s: %v", c.schema, c.text, text.MayEnd())
		}
		if err := fits(validator(t, c.schema), c.text); c.want && err != nil {
			t.Errorf("%s: %s: %v", c.schema, c.text, err)
		}
	}
}

// Of numbers, those are written that are within the bounds, and no other.
func TestText_keepsBounds(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	number := func() string {
		text := fmt.Sprintf("%.*f", random.IntN(4), (random.Float64()-0.5)*math.Pow(10, float64(random.IntN(6))))
		if text = strings.TrimPrefix(text, "-0"); text == "" || text[0] == '.' {
			text = "0" + text
		}
		return text
	}
	v := NewVocabulary(letters())
	for range 300 {
		kind, some := []string{"number", "integer"}[random.IntN(2)], map[string]json.Number{}
		for _, name := range []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"} {
			if random.IntN(2) == 0 {
				some[name] = json.Number(number())
			}
		}
		limits, err := json.Marshal(some)
		must(t, err)
		schema := fmt.Sprintf(`{"type":%q,%s`, kind, limits[1:])
		if len(some) == 0 {
			schema = fmt.Sprintf(`{"type":%q}`, kind)
		}
		s := validator(t, schema)
		begun, err := New([]byte(schema), v)
		if wrong, ok := errors.AsType[*SchemaError](err); ok && strings.Contains(wrong.What, "more than it allows") {
			begun = nil
		} else {
			must(t, err)
		}
		near := []string{number(), number(), number()}
		for _, n := range some {
			near = append(near, string(n), string(n)+"1", string(n)+"0", strings.TrimSuffix(string(n), "1"))
		}
		for _, n := range near {
			if !json.Valid([]byte(n)) || kind == "integer" && strings.Contains(n, ".") {
				continue // 1.0 is an integer, but is not written
			}
			want, got := fits(s, n) == nil, false
			if begun != nil {
				text := *begun
				for i := range len(n) {
					text.Write(int(n[i]))
				}
				got = text.MayEnd()
			}
			if got != want {
				t.Fatalf("%s: %s: %v, want %v", schema, n, got, want)
			}
		}
	}
}

// What is not kept to is refused by name.
func TestNew_refuses(t *testing.T) {
	v := NewVocabulary(letters())
	deep := strings.Repeat(`{"type":"array","items":`, 40) + `{"type":"null"}` + strings.Repeat("}", 40)
	for schema, want := range map[string]string{
		`{"type":"string","multipleOf":2}`: `"multipleOf"`, `{"$ref":"#/x"}`: `"#/x"`, `{"type":"object","properties":{"n":{"type":"integer","multipleOf":2}}}`: "properties.n",
		`{"$ref":"http://example.org/s"}`: "not there", `{"$ref":"#","type":"null"}`: "beside", `{"$ref":"#"}`: "4 times", `{"type":"array","minItems":1,"items":{"$ref":"#"}}`: "4 times",
		`{"type":"string","pattern":"(?=a)"}`: "(?=a)", `{"type":"string","pattern":"a\\bc"}`: `\b`, `{"type":"string","pattern":"a^b"}`: "within", `{"type":"string","pattern":"a","maxLength":2}`: "length",
		`{"type":"string","pattern":"` + strings.Repeat("a", 1001) + `"}`: "1000 bytes", `{"type":"integer","minimum":3,"maximum":2}`: "more than it allows", `{"type":"number","minimum":0.1234567890123456}`: "minimum 0.1234567890123456, which has more than 15 digits",
		`{"type":"number","exclusiveMaximum":1e-20}`: "exclusiveMaximum 1e-20", `{"type":"number","exclusiveMinimum":2,"maximum":2}`: "more than it allows", `{"type":"integer","exclusiveMinimum":2,"exclusiveMaximum":3}`: "more than it allows",
		`{"type":"integer","maximum":1e100}`: "maximum 1e100", `{"type":"number","minimum":1e16}`: "more than it allows", `{"type":"string","minimum":1}`: `"minimum"`, `{"enum":[1],"minimum":1}`: "more than a type",
		`{"type":"thing"}`: "thing", `{}`: "no type", `[]`: "", `{"type":"array"}`: "items", `{"type":"object","required":["a"]}`: `"a"`, `{"type":"string","minItems":1}`: "minItems",
		`{"enum":[]}`: "empty enum", `{"anyOf":[]}`: "no value", `{"type":"string","minLength":3,"maxLength":2}`: "more than it allows", `{"type":"string","maxLength":-1}`: "maxLength",
		`{"type":"integer","enum":["a"]}`: `"a"`, `{"type":"object","properties":{"a":{"type":"null"},"a":{"type":"null"}}}`: "twice", deep: "deeper",
		`{"type":"string","title":"` + strings.Repeat("x", 70_000) + `"}`: "bytes", `{"type":"object","additionalProperties":{"type":"null"}}`: "",
	} {
		_, err := New([]byte(schema), v)
		wrong, ok := errors.AsType[*SchemaError](err)
		if !ok || !strings.Contains(err.Error(), want) || wrong.Hint == "" {
			t.Errorf("%.80s: %v", schema, err)
		}
	}
	if _, err := New([]byte(schemas[0]), NewVocabulary([][]byte{[]byte("a")})); !errors.Is(err, ErrVocabulary) {
		t.Errorf("without tokens for JSON: %v", err)
	}
}

// The places of large schemas stay few.
func TestText_large(t *testing.T) {
	properties := map[string]any{}
	for i := range 200 {
		properties[fmt.Sprintf("property %d", i)] = map[string]any{"type": "string", "maxLength": 5000}
	}
	schema, err := json.Marshal(map[string]any{"type": "object", "properties": properties})
	must(t, err)
	text, err := New(schema, NewVocabulary(letters()))
	must(t, err)
	for range 300 {
		var ids []int
		must(t, text.Allowed(1<<20, func(id int) { ids = append(ids, id) }))
		text.Write(ids[len(ids)-1])
	}
	if n := len(text.l.all); n > 100_000 {
		t.Errorf("%d states", n)
	}
}

func FuzzNew(f *testing.F) {
	for _, s := range schemas {
		f.Add([]byte(s))
	}
	v := NewVocabulary(letters())
	f.Fuzz(func(t *testing.T, schema []byte) {
		text, err := New(schema, v)
		if err != nil {
			return
		}
		for range 20 {
			id := -1
			must(t, text.Allowed(1<<20, func(i int) { id = i }))
			if id < 0 {
				break
			}
			text.Write(id)
		}
	})
}
