package main

import (
	"regexp"
	"strings"
)

// chooseName is the function that inline conditions become.
const chooseName = "choose_if"

// inlineConditions rewrites "a if c else b" within parentheses, arguments,
// lists and assignments to a call of chooseName, for gonja only knows it at
// the top of what is printed. Both sides are then evaluated.
func inlineConditions(template string) string {
	var out strings.Builder
	for template != "" {
		at := strings.IndexByte(template, '{')
		if at < 0 || at+1 == len(template) {
			break
		}
		closing := map[byte]string{'{': "}}", '%': "%}"}[template[at+1]]
		if closing == "" {
			out.WriteString(template[:at+1])
			template = template[at+1:]
			continue
		}
		end := endOf(template[at+2:], closing)
		if end < 0 {
			break
		}
		out.WriteString(template[:at+2] + rewriteBlock(template[at+2:at+2+end]) + closing)
		template = template[at+2+end+2:]
	}
	return out.String() + template
}

// assignment is the start of a set statement.
var assignment = regexp.MustCompile(`^[-+]?\s*set\s+[\w.,\s]+=`)

// rewriteBlock rewrites what stands between the marks of a block.
func rewriteBlock(s string) string {
	s = brackets(s)
	if head := assignment.FindString(s); head != "" {
		body, dash := s[len(head):], ""
		if trimmed := strings.TrimRight(body, " \n\t"); strings.HasSuffix(trimmed, "-") {
			body, dash = strings.TrimSuffix(trimmed, "-"), "-"
		}
		return head + condition(body) + dash
	}
	return s
}

// brackets rewrites what is within brackets of s, the innermost first.
func brackets(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		closing := map[byte]string{'(': ")", '[': "]", '{': "}"}[s[i]]
		n := -1
		switch {
		case s[i] == '\'' || s[i] == '"':
			n = quoted(s[i:])
			out.WriteString(s[i : i+n])
			i += n - 1
			continue
		case closing != "":
			n = endOf(s[i+1:], closing)
		}
		if n < 0 {
			out.WriteByte(s[i])
			continue
		}
		parts := split(brackets(s[i+1:i+1+n]), ",")
		for j, part := range parts {
			parts[j] = condition(part)
		}
		out.WriteString(s[i:i+1] + strings.Join(parts, ",") + closing)
		i += n + 1
	}
	return out.String()
}

// named is the name of an argument or the key of a dictionary.
var named = regexp.MustCompile(`^\s*(\w+\s*=|['"]\w+['"]\s*:)`)

// condition rewrites one expression.
func condition(s string) string {
	head := named.FindString(s)
	if strings.HasPrefix(s[len(head):], "=") { // a comparison
		head = ""
	}
	sides := split(s[len(head):], "if")
	if len(sides) < 2 {
		return s
	}
	rest := strings.Join(sides[1:], "if")
	test := split(rest, "else")
	otherwise := "''"
	if len(test) > 1 {
		otherwise = condition(strings.Join(test[1:], "else"))
	}
	return head + " " + chooseName + "(" + strings.TrimSpace(test[0]) + ", " + strings.TrimSpace(sides[0]) + ", " + strings.TrimSpace(otherwise) + ") "
}

// split splits s at a comma or a word, outside of strings and brackets.
func split(s, at string) []string {
	var out []string
	depth, start := 0, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'' || c == '"':
			i += quoted(s[i:]) - 1
		case strings.IndexByte("([{", c) >= 0:
			depth++
		case strings.IndexByte(")]}", c) >= 0:
			depth--
		case depth == 0 && strings.HasPrefix(s[i:], at) && (at == "," || isWord(s, i, i+len(at))):
			out, start = append(out, s[start:i]), i+len(at)
			i = start - 1
		}
	}
	return append(out, s[start:])
}

// isWord reports whether s[from:to] is a whole word.
func isWord(s string, from, to int) bool {
	letter := func(i int) bool {
		return i >= 0 && i < len(s) && (s[i] == '_' || s[i] >= '0' && s[i] <= '9' || s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z')
	}
	return !letter(from-1) && !letter(to)
}

// endOf is where the closing mark is, outside of strings and inner brackets;
// -1 if there is none.
func endOf(s, closing string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case depth == 0 && strings.HasPrefix(s[i:], closing):
			return i
		case c == '\'' || c == '"':
			i += quoted(s[i:]) - 1
		case strings.IndexByte("([{", c) >= 0:
			depth++
		case strings.IndexByte(")]}", c) >= 0:
			depth--
		}
	}
	return -1
}

// quoted is the length of the string that s begins with.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i + 1
		}
	}
	return len(s)
}
