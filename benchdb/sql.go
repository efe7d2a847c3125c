package benchdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Views are what an agent's SQL may name, with what each has a row for.
var Views = []string{
	"benchmark_results", "environments", "events", "fetches", "hardware_platforms", "inferences", "models", "samples",
}

// tableFunctions are those an agent's SQL may use: they read nothing.
var tableFunctions = []string{"generate_series", "json_each", "json_tree", "range", "unnest"}

// deniedFunctions change something, wait, or tell of the process, though they
// stand in a SELECT.
var deniedFunctions = []string{
	"checkpoint", "currval", "current_setting", "force_checkpoint", "getenv", "getvariable", "json_execute_serialized_sql", "nextval",
	"setseed", "sleep_ms", "write_log",
}

// checkSQL refuses everything but one SELECT over the views. It asks DuckDB
// for the syntax tree, in a database of its own that holds nothing.
func checkSQL(ctx context.Context, driverName, query string) error {
	if strings.ContainsRune(query, 0) {
		return &QueryError{Message: "the SQL holds a NUL character"}
	}
	db, err := sql.Open(driverName, "")
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // it is in memory
	var tree string
	const serialize = "select json_serialize_sql(?::varchar, skip_null := true, skip_empty := true)::varchar"
	if err := db.QueryRowContext(ctx, serialize, query).Scan(&tree); err != nil {
		return err
	}
	var doc struct {
		Error      bool   `json:"error"`
		Message    string `json:"error_message"`
		Type       string `json:"error_type"`
		Statements []any  `json:"statements"`
	}
	if err := json.Unmarshal([]byte(tree), &doc); err != nil {
		return err
	}
	switch {
	case doc.Error && strings.Contains(doc.Message, "Only SELECT"):
		return &QueryError{Message: "only a SELECT can be asked", Hint: "write one SELECT over the views", ValidValues: Views}
	case doc.Error:
		return &QueryError{Message: "the SQL can't be parsed: " + doc.Message, Hint: "write one SELECT in DuckDB's dialect"}
	case len(doc.Statements) != 1:
		return &QueryError{Message: fmt.Sprintf("%d statements; only one can be asked", len(doc.Statements)), Hint: "ask them one by one"}
	}
	return newNames(doc.Statements[0]).check()
}

// names are what a syntax tree refers to.
type names struct{ tables, tableFunctions, functions, ctes map[string]bool }

func newNames(tree any) names {
	n := names{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	n.walk(tree)
	return n
}

// walk collects the names of a tree, as json_serialize_sql writes it.
func (n names) walk(v any) {
	switch v := v.(type) {
	case []any:
		for _, child := range v {
			n.walk(child)
		}
	case map[string]any:
		n.visit(v)
		for _, child := range v {
			n.walk(child)
		}
	}
}

func (n names) visit(node map[string]any) {
	switch {
	case node["type"] == "TABLE_FUNCTION":
		if f, ok := node["function"].(map[string]any); ok {
			n.tableFunctions[lower(f["function_name"])] = true
		}
	case node["type"] == "BASE_TABLE":
		name := lower(node["table_name"])
		for _, part := range []string{"schema_name", "catalog_name"} {
			if s := lower(node[part]); s != "" {
				name = s + "." + name
			}
		}
		n.tables[name] = true
	case node["class"] == "FUNCTION":
		n.functions[lower(node["function_name"])] = true
	}
	if ctes, ok := node["cte_map"].(map[string]any); ok {
		if list, ok := ctes["map"].([]any); ok {
			for _, e := range list {
				if entry, ok := e.(map[string]any); ok {
					n.ctes[lower(entry["key"])] = true
				}
			}
		}
	}
}

func lower(v any) string {
	s, ok := v.(string)
	if !ok {
		return ""
	}
	return strings.ToLower(s)
}

func (n names) check() error {
	for _, t := range sorted(n.tables) {
		if !n.ctes[t] && !slices.Contains(Views, strings.TrimPrefix(t, "main.")) {
			return &QueryError{Message: fmt.Sprintf("there is no view %q", t), Hint: "use the views that are there", ValidValues: Views}
		}
	}
	for _, f := range sorted(n.tableFunctions) {
		// What a table function calls is a function of the tree too, so one
		// that is a scalar function's name is checked below as well.
		if !slices.Contains(tableFunctions, f) {
			return &QueryError{Message: fmt.Sprintf("the table function %q is not allowed", f), ValidValues: tableFunctions}
		}
	}
	for _, f := range sorted(n.functions) {
		if slices.Contains(deniedFunctions, f) {
			return &QueryError{Message: fmt.Sprintf("the function %q is not allowed", f), Hint: "leave it out"}
		}
	}
	return nil
}

func sorted(set map[string]bool) []string {
	var out []string
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// agentSQL runs an agent's SELECT.
func agentSQL(ctx context.Context, conn *sql.Conn, q Query) (Table, error) {
	err := conn.Raw(func(c any) error {
		// Prepare of database/sql would run all statements but the last.
		prepared, err := c.(driver.Conn).Prepare(q.SQL)
		if err != nil {
			return err
		}
		return prepared.Close()
	})
	var t Table
	if err == nil {
		t, err = table(ctx, conn, q.Limit, strings.TrimRight(strings.TrimSpace(q.SQL), ";"))
	}
	if err == nil || errors.Is(err, context.DeadlineExceeded) || isMemory(err) {
		return t, err
	}
	if ctx.Err() != nil {
		return t, ctx.Err()
	}
	return t, &QueryError{Message: firstLine(err.Error()), Hint: "DESCRIBE a view lists its columns", ValidValues: nil}
}

// firstLine leaves out DuckDB's drawing of where the mistake is.
func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
