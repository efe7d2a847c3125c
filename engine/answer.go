package engine

import (
	"errors"

	"github.com/agnivade/levenshtein"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
)

// Common is what every answer may hold.
type Common struct {
	RunID     string         `json:"run_id,omitempty"`
	Status    benchdb.Status `json:"status,omitempty"`
	Progress  *Progress      `json:"progress,omitempty"`
	Model     *ModelRef      `json:"model,omitempty"`
	Warnings  []string       `json:"warnings,omitempty"`
	Summary   string         `json:"summary,omitempty"`
	NextSteps []string       `json:"next_steps,omitempty"`
	Error     *ErrorInfo     `json:"error,omitempty"`
}

func (c *Common) common() *Common { return c }

// A ModelRef says which model an answer is about.
type ModelRef struct {
	Name string `json:"name,omitempty"`
	CID  string `json:"cid"`
	File string `json:"file,omitempty"` // the .onnx file that ran
}

// ErrorInfo is an error as an agent reads it.
type ErrorInfo struct {
	Code        Code     `json:"code"`
	Message     string   `json:"message"`
	Hint        string   `json:"hint,omitempty"`
	ValidValues []string `json:"valid_values,omitempty"`
	Retryable   bool     `json:"retryable"`
}

// A FileRef names a file made by a run, readable as a resource.
type FileRef struct {
	URI      string `json:"uri"`
	MIMEType string `json:"mime_type"`
	Bytes    int64  `json:"bytes"`
}

// Explain turns any error into what an agent is told. An error that is no
// [Error] is our mistake: its text may hold paths, so it goes to the log only.
func Explain(err error) *ErrorInfo {
	var e *Error
	if !errors.As(err, &e) {
		return &ErrorInfo{
			Code: ErrInternal, Message: "something went wrong inside the server",
			Hint: "try again; the server's log has the details", Retryable: true,
		}
	}
	return &ErrorInfo{Code: e.Code, Message: e.Message, Hint: e.Hint, ValidValues: e.ValidValues, Retryable: e.Retryable}
}

// maxSlip is the longest word that may be a slip of the fingers, in bytes: to
// compare long ones takes long.
const maxSlip = 100

// Suggest returns the valid word nearest to word, or "" if none is near
// enough to be a slip of the fingers. Of two as near it is the longer one, for
// a letter is left out more often than mistaken.
func Suggest(word string, valid []string) string {
	if len(word) > maxSlip {
		return ""
	}
	best, bound := "", len(word)/2+1
	for _, v := range valid {
		d := levenshtein.ComputeDistance(word, v)
		if d < bound || (d == bound && best != "" && len(v) > len(best)) {
			best, bound = v, d
		}
	}
	return best
}

// unknown is the error for a word that is not among those that mean
// something; what says what the word would name.
func unknown(code Code, what, word string, valid []string) *Error {
	e := Errorf(code, "unknown %s %q", what, word)
	e.ValidValues = valid
	if s := Suggest(word, valid); s != "" {
		e.Hint = "did you mean \"" + s + "\"?"
	}
	return e
}
