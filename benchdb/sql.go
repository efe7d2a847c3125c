package benchdb

import (
	"context"
	"database/sql"
	"errors"
	"regexp"
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
	var mistake *QueryError
	if err == nil || ctx.Err() != nil || isMemory(err) || errors.As(err, &mistake) {
		return t, err
	}
	return t, correctable(err)
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
