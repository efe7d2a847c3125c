package benchdb

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A listing is a report that is one SELECT with filters, in pages. In its SQL
// {where} stands for the filters, and {top} ends a part of it that is a table in
// itself: no more of it than a page is needed then.
type listing struct {
	sql   string
	keys  []orderKey // what orders the rows; together they name one
	desc  bool
	units map[string]string // of columns whose name does not end in theirs

	// The filters, in SQL with the parameter that has the field's name. A
	// field without one does not restrict.
	model, device, workload, since string
}

// An orderKey is a column, never NULL, and the type that it is compared as.
type orderKey struct{ column, kind string }

// byModel, byDevice, byWorkload and byTime are the usual filters.
const (
	byModel    = "$model in (model_name, model_cid)"
	byDevice   = "$device in (device, hardware_type)"
	byWorkload = "workload = $workload"
	byTime     = "timestamp >= $since::timestamptz"
)

// where is the condition that a query makes for a listing.
func (l listing) where(q Query) condition {
	c := condition{where: "where true"}
	add := func(clause, name, value string) {
		if clause != "" && value != "" {
			c.and(clause, name, value)
		}
	}
	add(l.model, "model", q.Model)
	add(l.device, "device", q.Device)
	add(l.workload, "workload", q.Workload)
	if !q.Since.IsZero() {
		add(l.since, "since", q.Since.UTC().Format(time.RFC3339Nano))
	}
	return c
}

// page answers a query: the rows after its cursor.
func (l listing) page(ctx context.Context, conn *sql.Conn, q Query) (Table, error) {
	c := l.where(q)
	top := "" // of what a part of the report can hold of the first page
	if q.Cursor == "" {
		top = fmt.Sprintf("order by timestamp desc, id desc limit %d", q.Limit+1)
	}
	from := strings.NewReplacer("{where}", c.where, "{top}", top).Replace(l.sql)
	order := columnsOf(l.keys)
	if l.desc {
		for i := range order {
			order[i] += " desc"
		}
	}
	after, err := l.after(q.Cursor, &c)
	if err != nil {
		return Table{}, err
	}
	query := fmt.Sprintf("select * from (\n%s\n) rows_ %s order by %s limit %d", from, after, strings.Join(order, ", "), q.Limit+1)
	t, err := table(ctx, conn, q.Limit, query, c.args...)
	if err != nil {
		return t, err
	}
	t.units(l.units)
	if t.Truncated {
		t.NextCursor, err = cursorOf(t.Rows[len(t.Rows)-1], columnsOf(l.keys))
	}
	return t, err
}

// after is the condition on the rows after a cursor.
func (l listing) after(cursor string, c *condition) (string, error) {
	if cursor == "" {
		return "", nil
	}
	values, err := readCursor(cursor, len(l.keys))
	if err != nil {
		return "", err
	}
	names, params := make([]string, len(l.keys)), make([]string, len(l.keys))
	for i, k := range l.keys {
		names[i] = k.column
		params[i] = fmt.Sprintf("try_cast($after%d as %s)", i, k.kind)
		c.args = append(c.args, sql.Named(fmt.Sprintf("after%d", i), values[i]))
	}
	than := ">"
	if l.desc {
		than = "<"
	}
	// The first key alone tells DuckDB which blocks it need not read.
	first := names[0] + " " + than + "= " + params[0]
	return "where " + first + " and (" + strings.Join(names, ", ") + ") " + than + " (" + strings.Join(params, ", ") + ")", nil
}

// cursorOf names a row by the values of some of its columns.
func cursorOf(row json.RawMessage, columns []string) (string, error) {
	var last map[string]json.RawMessage
	if err := json.Unmarshal(row, &last); err != nil {
		return "", err
	}
	values := make([]string, len(columns))
	for i, c := range columns {
		if json.Unmarshal(last[c], &values[i]) != nil {
			values[i] = string(last[c]) // a number
		}
	}
	data, err := json.Marshal(values)
	return base64.RawURLEncoding.EncodeToString(data), err
}

func readCursor(c string, n int) ([]string, error) {
	data, err := base64.RawURLEncoding.DecodeString(c)
	var values []string
	if err != nil || json.Unmarshal(data, &values) != nil || len(values) != n {
		return nil, ErrBadCursor
	}
	return values, nil
}

// suffixes are the units that names of columns end in.
var suffixes = map[string]string{
	"_ms": "ms", "_bytes": "bytes", "_per_s": "1/s", "_joules": "J", "_seconds": "s", "_low": "ms", "_high": "ms",
}

// units sets the units of columns: those given, or by their names.
func (t *Table) units(given map[string]string) {
	for i, c := range t.Columns {
		if u, ok := given[c.Name]; ok {
			t.Columns[i].Unit = u
			continue
		}
		for _, s := range slices.Sorted(maps.Keys(suffixes)) {
			if strings.HasSuffix(c.Name, s) {
				t.Columns[i].Unit = suffixes[s]
			}
		}
	}
}
