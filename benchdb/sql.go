package benchdb

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// agentSQL runs an agent's SELECT, once it is known to be one over the views.
func (w *worker) agentSQL(ctx context.Context, conn *sql.Conn) (Table, error) {
	q := w.r.Query
	if !w.skipTree {
		if err := checkSQL(ctx, conn, q.SQL); err != nil {
			return Table{}, err
		}
	}
	t, err := table(ctx, conn, q.Limit, strings.TrimRight(q.SQL, "; \t\r\n"))
	if t.Rows, err = withoutFolder(t.Rows, err); err == nil {
		return t, nil
	}
	var mistake *QueryError
	if ctx.Err() != nil || isMemory(err) || errors.As(err, &mistake) {
		return t, err
	}
	return t, correctable(err)
}

// withoutFolder takes the folder of the database out of an answer, if it was
// told after all, by what the look at the syntax tree did not know.
func withoutFolder(rows []json.RawMessage, err error) ([]json.RawMessage, error) {
	dir, werr := os.Getwd()
	if werr != nil || len(dir) <= 1 {
		return rows, err
	}
	quoted := bytes.Trim([]byte(strconv.Quote(dir)), `"`)
	for i, r := range rows {
		rows[i] = bytes.ReplaceAll(bytes.ReplaceAll(r, quoted, []byte(".")), []byte(dir), []byte("."))
	}
	if err != nil && strings.Contains(err.Error(), dir) {
		err = errors.New(strings.ReplaceAll(err.Error(), dir, "."))
	}
	return rows, err
}

// suggestions are what DuckDB thinks was meant.
var suggestions = regexp.MustCompile(`(?m)^(?:Candidate bindings|Candidate functions|Did you mean)[ :]*\n?(.+)$`)

// correctable turns what DuckDB says of a query into what its author needs: not
// the drawing of where the mistake is, for the query that ran was a longer one.
func correctable(err error) error {
	message, _, _ := strings.Cut(err.Error(), "\n")
	hint := "DESCRIBE a view lists its columns"
	if m := suggestions.FindStringSubmatch(err.Error()); m != nil {
		hint = "did you mean " + strings.TrimRight(strings.TrimSpace(m[1]), "?") + "?"
	}
	return &QueryError{Message: message, Hint: hint}
}
