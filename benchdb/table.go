package benchdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
)

// maxTable bounds the rows of an answer, in bytes.
const maxTable = 4 << 20

// table runs a query and returns up to limit rows. DuckDB itself makes them
// JSON, so that no type of its needs to be known here but that of times, which
// become RFC 3339.
func table(ctx context.Context, conn *sql.Conn, limit int, query string, args ...any) (Table, error) {
	t := Table{Total: -1, Rows: []json.RawMessage{}}
	var err error
	if t.Columns, err = columns(ctx, conn, query, args...); err != nil {
		return t, err
	}
	rows, err := conn.QueryContext(ctx, asJSON(t.Columns, query, limit+1), args...)
	if err != nil {
		return t, err
	}
	defer rows.Close() // rows.Err tells
	for size := 0; rows.Next(); {
		var row string
		if err := rows.Scan(&row); err != nil {
			return t, err
		}
		if size += len(row); len(t.Rows) == limit || size > maxTable {
			t.Truncated = true
			break
		}
		data, err := strictJSON(row)
		if err != nil {
			return t, err
		}
		t.Rows = append(t.Rows, data)
	}
	if t.Truncated && len(t.Rows) == 0 {
		return t, &QueryError{Message: fmt.Sprintf("a row is over %d bytes", maxTable), Hint: "select fewer columns, or shorten them"}
	}
	return t, rows.Err()
}

// columns asks for the names and types of a query's columns.
func columns(ctx context.Context, conn *sql.Conn, query string, args ...any) ([]Column, error) {
	rows, err := conn.QueryContext(ctx, "select * from (\n"+query+"\n) limit 0", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // it has no rows
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	out := make([]Column, len(types))
	for i, c := range types {
		out[i] = Column{Name: c.Name(), Type: strings.ToLower(c.DatabaseTypeName())}
	}
	return out, rows.Err()
}

// asJSON is the SQL for a query's rows as objects. The columns are named anew,
// for theirs may be anything.
func asJSON(columns []Column, query string, limit int) string {
	names, pairs := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		names[i] = fmt.Sprintf("c%d", i)
		value := names[i]
		if c.Type == "timestamptz" {
			value = "strftime(" + value + ", '%Y-%m-%dT%H:%M:%S.%fZ')" // the session's zone is UTC
		}
		pairs[i] = "'" + strings.ReplaceAll(c.Name, "'", "''") + "', " + value
	}
	return fmt.Sprintf("select json_object(%s)::varchar from (\n%s\n) row_(%s) limit %d", strings.Join(pairs, ", "), query, strings.Join(names, ", "), limit)
}

// strictJSON returns DuckDB's JSON without the numbers that only it allows:
// NaN and infinities are null.
func strictJSON(s string) (json.RawMessage, error) {
	if data := json.RawMessage(s); json.Valid(data) {
		return data, nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		end := tokenEnd(s, i)
		token := s[i:end]
		if word := strings.TrimLeft(token, "+-"); strings.EqualFold(word, "nan") || strings.EqualFold(word, "inf") || strings.EqualFold(word, "infinity") {
			token = "null"
		}
		out = append(out, token...)
		i = end
	}
	if !json.Valid(out) {
		return nil, &QueryError{Message: "a row can't be written as JSON", Hint: "cast its JSON columns to VARCHAR"}
	}
	return out, nil
}

// tokenEnd returns the end of the string, the word or the sign at i.
func tokenEnd(s string, i int) int {
	if s[i] == '"' {
		for i++; i < len(s) && s[i] != '"'; i++ {
			if s[i] == '\\' {
				i++
			}
		}
		return min(i+1, len(s))
	}
	n := strings.IndexAny(s[i:], "\",:[]{} \t\n\r")
	switch {
	case n < 0:
		return len(s)
	case n == 0:
		return i + 1
	}
	return i + n
}
