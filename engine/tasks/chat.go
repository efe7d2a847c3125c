package tasks

import (
	"context"
	"encoding/json"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A Renderer renders a Jinja template, as a chat template of Hugging Face is
// one, with variables that are plain JSON. A template that is wrong or takes
// too long is ErrModelInvalid.
type Renderer func(ctx context.Context, template string, variables map[string]any) (string, error)

// A chat is how a model wants conversations.
type chat struct {
	Template string // "" if it wants none
	BOS, EOS string // texts of the tokens that templates name
}

// A message is one turn of a conversation.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// maxTemplate bounds the bytes of a chat template.
const maxTemplate = 1 << 20

// loadChat reads chat_template.jinja or tokenizer_config.json.
func loadChat(m *engine.Model) (chat, error) {
	var c struct {
		Template chatTemplate `json:"chat_template"`
		BOS      tokenText    `json:"bos_token"`
		EOS      tokenText    `json:"eos_token"`
	}
	if _, err := readJSON(m, "tokenizer_config.json", &c); err != nil {
		return chat{}, err
	}
	out := chat{string(c.Template), string(c.BOS), string(c.EOS)}
	if m.Has("chat_template.jinja") {
		data, err := m.ReadFile("chat_template.jinja", maxTemplate)
		if err != nil {
			return chat{}, err
		}
		out.Template = string(data)
	}
	return out, nil
}

// chatTemplate is a template, or the default one of several.
type chatTemplate string

func (t *chatTemplate) UnmarshalJSON(data []byte) error {
	var several []struct {
		Name     string `json:"name"`
		Template string `json:"template"`
	}
	if json.Unmarshal(data, &several) != nil {
		return json.Unmarshal(data, (*string)(t))
	}
	for _, s := range several {
		if s.Name == "default" {
			*t = chatTemplate(s.Template)
		}
	}
	return nil
}

// tokenText is the text of a token, which may be an object.
type tokenText string

func (t *tokenText) UnmarshalJSON(data []byte) error {
	var object struct {
		Content string `json:"content"`
	}
	if json.Unmarshal(data, &object) == nil {
		*t = tokenText(object.Content)
		return nil
	}
	return json.Unmarshal(data, (*string)(t))
}

// messagesOf reads the conversation of a record; nil for a text.
func messagesOf(item engine.Item) ([]message, error) {
	if item.Record == nil {
		return nil, nil
	}
	var r struct {
		Messages []message `json:"messages"`
	}
	if err := readParameters(item.Record, &r); err != nil {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "a record must be {\"messages\": [{\"role\": \"user\", \"content\": \"...\"}]}: %w", err)
	}
	if len(r.Messages) == 0 {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "the record has no messages").WithHint("pass {\"messages\": [{\"role\": \"user\", \"content\": \"...\"}]}")
	}
	for _, m := range r.Messages {
		if err := among("role", m.Role, "system", "user", "assistant", "tool"); err != nil {
			return nil, err
		}
	}
	return r.Messages, nil
}

// withSystem makes a conversation of a text, and puts what the model is told
// first before one that does not say.
func withSystem(messages []message, text, system string) []message {
	if len(messages) == 0 {
		messages = []message{{"user", text}}
	}
	if system != "" && messages[0].Role != "system" {
		messages = append([]message{{"system", system}}, messages...)
	}
	return messages
}

// render makes the prompt, up to where the model answers.
func (c chat) render(ctx context.Context, render Renderer, messages []message) (string, error) {
	return render(ctx, c.Template, map[string]any{
		"messages": messages, "add_generation_prompt": true, "bos_token": c.BOS, "eos_token": c.EOS,
	})
}
