package main

import "testing"

func TestInlineConditions(t *testing.T) {
	for in, want := range map[string]string{
		`{{ a if b else c }}`:                       `{{ a if b else c }}`,
		`{{ 'x' + (a if b else c) }}`:               `{{ 'x' + ( choose_if(b, a, c) ) }}`,
		`{{ (a if b) }} if else`:                    `{{ ( choose_if(b, a, '') ) }} if else`,
		`{%- set x = a if b else c -%}`:             `{%- set x = choose_if(b, a, c) -%}`,
		`{% set x = ('a' if y else z)[0] %}`:        `{% set x = ( choose_if(y, 'a', z) )[0] %}`,
		`{{ f(k=a if b else c, d=', if ') }}`:       `{{ f(k= choose_if(b, a, c) , d=', if ') }}`,
		`{{ (a if b else (c if d else e)) }}`:       `{{ ( choose_if(b, a, ( choose_if(d, c, e) )) ) }}`,
		`{{ (a if b else c if d else e) }}`:         `{{ ( choose_if(b, a, choose_if(d, c, e)) ) }}`,
		`{% for m in ms if m != x %}{% endfor %}`:   `{% for m in ms if m != x %}{% endfor %}`,
		`{{ {'k': a if b else c} }}`:                `{{ {'k': choose_if(b, a, c) } }}`,
		`text {not a block} { {% if a %}b{% endif`:  `text {not a block} { {% if a %}b{% endif`,
		`{{ "(a if b" }} {{ (elif_x) }} {{ (ifs) }`: `{{ "(a if b" }} {{ (elif_x) }} {{ (ifs) }`,
	} {
		if got := inlineConditions(in); got != want {
			t.Errorf("%s: %s; want %s", in, got, want)
		}
	}
}
