package tokenizer

import (
	"encoding/json"
	"fmt"
)

// A postProcessor says which special tokens go around a text.
type postProcessor struct {
	Type          string                      `json:"type"`
	Single        []map[string]templateRef    `json:"single"`
	SpecialTokens map[string]templateSpecials `json:"special_tokens"`
	Sep           bertSpecial                 `json:"sep"`
	Cls           bertSpecial                 `json:"cls"`
}

type templateRef struct {
	ID     string `json:"id"`
	TypeID int64  `json:"type_id"`
}

type templateSpecials struct {
	IDs []int64 `json:"ids"`
}

// A bertSpecial is a pair of a token and its id.
type bertSpecial struct{ id int64 }

// UnmarshalJSON reads ["[CLS]", 101].
func (b *bertSpecial) UnmarshalJSON(data []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("a special token is a pair, not %s", data)
	}
	return json.Unmarshal(pair[1], &b.id)
}

// A piece is one part of a template: the text, or special tokens.
type piece struct {
	sequence bool
	ids      []int64
	typeID   int64
}

// single returns the template for one text; without a post-processor it is
// the text alone.
func (p *postProcessor) single() ([]piece, error) {
	if p == nil {
		return []piece{{sequence: true}}, nil
	}
	switch p.Type {
	case "BertProcessing":
		return []piece{{ids: []int64{p.Cls.id}}, {sequence: true}, {ids: []int64{p.Sep.id}}}, nil
	case "TemplateProcessing":
		return p.template()
	}
	return nil, fmt.Errorf("its post-processor is %q; this version knows TemplateProcessing and BertProcessing", p.Type)
}

func (p *postProcessor) template() ([]piece, error) {
	var out []piece
	for _, part := range p.Single {
		if ref, ok := part["Sequence"]; ok {
			out = append(out, piece{sequence: true, typeID: ref.TypeID})
			continue
		}
		ref, ok := part["SpecialToken"]
		special, known := p.SpecialTokens[ref.ID]
		if !ok || !known {
			return nil, fmt.Errorf("its template names a token %q that it does not define", ref.ID)
		}
		out = append(out, piece{ids: special.IDs, typeID: ref.TypeID})
	}
	return out, nil
}
