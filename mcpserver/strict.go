package mcpserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// maxID bounds the id of a request, in bytes: it is repeated in the answer.
const maxID = 256

// A refusal is a message that is answered without being understood.
type refusal struct {
	code   int // of JSON-RPC
	reason string
}

func (r *refusal) Error() string { return r.reason }

// The codes of JSON-RPC for what is no message.
const (
	codeParse   = -32700
	codeInvalid = -32600
)

// message returns the answer to what is refused, with no id: none can be
// relied on.
func (r *refusal) message() []byte {
	reason, err := json.Marshal(r.reason)
	if err != nil { // a string always encodes
		reason = []byte(`"refused"`)
	}
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":null,"error":{"code":%d,"message":%s}}`+"\n", r.code, reason)
}

// check refuses what two readers could understand differently, or what is
// made to exhaust one: JSON that repeats a name, is not UTF-8, or is nested
// too deep, and ids that are too long.
func check(message []byte, depth int) (envelope, *refusal) {
	if tooDeep(message, depth) {
		return envelope{}, &refusal{codeParse, fmt.Sprintf("the message is nested deeper than %d (limit depth)", depth)}
	}
	dec := jsontext.NewDecoder(bytes.NewReader(message))
	if _, err := dec.ReadValue(); err != nil {
		return envelope{}, &refusal{codeParse, "the message is no valid JSON: " + fault(err)}
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return envelope{}, &refusal{codeParse, "the message is no valid JSON: more follows its end"}
	}
	if bytes.HasPrefix(bytes.TrimLeft(message, " \t\r\n"), []byte("[")) {
		return envelope{}, &refusal{codeInvalid, "send one message at a time: batches are not part of the protocol"}
	}
	e := open(message)
	if len(e.ID) > maxID {
		return envelope{}, &refusal{codeInvalid, fmt.Sprintf("the id is longer than %d bytes (limit id)", maxID)}
	}
	return e, nil
}

// fault says what is wrong with JSON, and nothing of what it says.
func fault(err error) string {
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "it repeats a name"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "it ends too early"
	}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Sprintf("see byte %d", syntactic.ByteOffset)
	}
	return "it can't be read"
}

// tooDeep reports whether arrays and objects are nested deeper than limit. It
// reads no further, so it is safe before anything else has looked.
func tooDeep(message []byte, limit int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(message); i++ {
		switch c := message[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			if depth++; depth > limit {
				return true
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return false
}
