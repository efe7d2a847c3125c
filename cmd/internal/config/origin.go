package config

import (
	"fmt"
	"strings"
)

// A Level is where a value comes from. A higher one goes first.
type Level int

// The levels, lowest first.
const (
	Default Level = iota
	ProjectFile
	UserFile
	Environment
	Flag
)

// String names the level.
func (l Level) String() string {
	return [...]string{"default", "project file", "user file", "environment", "flag"}[l]
}

// MarshalText is the level's name.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// An Origin is where a value comes from.
type Origin struct {
	Level Level  `json:"level"`
	File  string `json:"file,omitempty"` // of the two file levels
	Line  int    `json:"line,omitempty"` // in it, from 1; 0 if it is not known
	Name  string `json:"name,omitempty"` // of the variable or flag
}

// String is "user file PATH:LINE", "environment NAME" or "flag --NAME".
func (o Origin) String() string {
	switch {
	case o.File != "":
		return o.Level.String() + " " + o.place()
	case o.Name != "":
		return o.Level.String() + " " + o.Name
	}
	return o.Level.String()
}

// Said is where a value was given, without paths of this machine: the name of a
// variable or flag, or which file.
func (o Origin) Said() string {
	if o.Name != "" {
		return o.Name
	}
	return o.Level.String()
}

func (o Origin) place() string {
	if o.Line > 0 {
		return fmt.Sprintf("%s:%d", o.File, o.Line)
	}
	return o.File + o.Name
}

// A Problem is a value that can't be used.
type Problem struct {
	Origin  Origin `json:"origin"`
	Key     string `json:"key,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// String is "FILE:LINE: KEY: MESSAGE; HINT".
func (p Problem) String() string {
	var parts []string
	for _, part := range []string{p.Origin.place(), p.Key, p.Message} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	text := strings.Join(parts, ": ")
	if p.Hint != "" {
		text += "; " + p.Hint
	}
	return text
}

// An Error is all that is wrong with a configuration.
type Error struct{ Problems []Problem }

// Error has a line for each problem.
func (e Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}
