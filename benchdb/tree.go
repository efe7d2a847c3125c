package benchdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Views are what an agent's SQL may name.
var Views = []string{
	"benchmark_results", "environments", "events", "fetches", "hardware_platforms", "inferences", "inferences_hourly", "models", "plans",
	"receipts", "samples", "time_series",
}

// tableFunctions are those an agent's SQL may use: they read nothing.
var tableFunctions = []string{"generate_series", "json_each", "json_tree", "range", "unnest"}

// deniedFunctions change something, wait, run or plan other SQL, or tell of the
// process, though they stand in a SELECT.
var deniedFunctions = []string{
	"checkpoint", "currval", "current_setting", "force_checkpoint", "getenv", "getvariable", "json_execute_serialized_sql", "json_serialize_plan",
	"nextval", "pg_sleep", "setseed", "sleep_ms", "write_log",
}

// checkSQL refuses everything but one SELECT over the views, by the syntax
// tree that DuckDB makes of it.
func checkSQL(ctx context.Context, conn *sql.Conn, query string) error {
	if strings.ContainsRune(query, 0) {
		return &QueryError{Message: "the SQL holds a NUL character"}
	}
	var tree string
	const serialize = "select json_serialize_sql(?::varchar, skip_null := true, skip_empty := true)::varchar"
	if err := conn.QueryRowContext(ctx, serialize, query).Scan(&tree); err != nil {
		if ctx.Err() != nil || isMemory(err) {
			return err
		}
		return correctable(err)
	}
	var doc struct {
		Error      bool   `json:"error"`
		Message    string `json:"error_message"`
		Statements []any  `json:"statements"`
	}
	if err := json.Unmarshal([]byte(tree), &doc); err != nil {
		return &QueryError{Message: "the SQL is nested too deeply"} // that is all that can be wrong with DuckDB's own JSON
	}
	switch {
	case doc.Error && strings.Contains(doc.Message, "Only SELECT"):
		return &QueryError{Message: "only a SELECT can be asked", Hint: "write one SELECT over the views", ValidValues: Views}
	case doc.Error:
		return &QueryError{Message: "the SQL can't be parsed: " + doc.Message, Hint: "write one SELECT in DuckDB's dialect"}
	case len(doc.Statements) == 0:
		return &QueryError{Message: "the SQL is empty", Hint: "write one SELECT over the views", ValidValues: Views}
	case len(doc.Statements) > 1:
		return &QueryError{Message: fmt.Sprintf("%d statements; only one can be asked", len(doc.Statements)), Hint: "ask them one by one"}
	}
	return checkNode(doc.Statements[0], nil)
}

// checkNode checks what a part of a syntax tree refers to. names are the common
// table expressions in scope: anything may be called as they are, even what
// could not be read elsewhere in the query.
func checkNode(v any, names []string) error {
	switch v := v.(type) {
	case []any:
		for _, child := range v {
			if err := checkNode(child, names); err != nil {
				return err
			}
		}
	case map[string]any:
		if err := checkReference(v, names); err != nil {
			return err
		}
		names, err := checkWith(v, names)
		if err != nil {
			return err
		}
		for key, child := range v {
			if key == "cte_map" {
				continue
			}
			scope := names
			if v["type"] == "RECURSIVE_CTE_NODE" && key == "right" {
				scope = extended(names, v["cte_name"]) // which the left side can't see
			}
			if err := checkNode(child, scope); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkWith checks the common table expressions of a query node, each of which
// sees those before it, and returns the names that the node itself sees.
func checkWith(node map[string]any, names []string) ([]string, error) {
	with, _ := node["cte_map"].(map[string]any)
	entries, _ := with["map"].([]any)
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		if err := checkNode(entry["value"], names); err != nil {
			return nil, err
		}
		names = extended(names, entry["key"])
	}
	return names, nil
}

func extended(names []string, name any) []string { return append(slices.Clip(names), lower(name)) }

// checkReference checks a node that is a table or a function.
func checkReference(node map[string]any, names []string) error {
	switch {
	case node["type"] == "BASE_TABLE":
		return checkTable(node, names)
	case node["type"] == "TABLE_FUNCTION":
		f, _ := node["function"].(map[string]any)
		if name := lower(f["function_name"]); !slices.Contains(tableFunctions, name) {
			return &QueryError{Message: fmt.Sprintf("the table function %q is not allowed", name), Hint: "read the views", ValidValues: tableFunctions}
		}
	case node["type"] == "SHOW_REF" && node["query"] == nil && node["table_name"] != `"tables"`:
		return &QueryError{Message: "only tables can be shown", Hint: "SHOW TABLES, or DESCRIBE a view"}
	case node["class"] == "FUNCTION" || node["class"] == "WINDOW":
		if name := lower(node["function_name"]); slices.Contains(deniedFunctions, name) {
			return &QueryError{Message: fmt.Sprintf("the function %q is not allowed", name), Hint: "leave it out"}
		}
	}
	return nil
}

func checkTable(node map[string]any, names []string) error {
	name, schema, catalog := lower(node["table_name"]), lower(node["schema_name"]), lower(node["catalog_name"])
	qualified := schema != "" || catalog != ""
	switch {
	case !qualified && slices.Contains(names, name):
		return nil
	case slices.Contains(Views, name) && catalog == "" && (schema == "" || schema == "main"):
		return nil
	case qualified:
		name = strings.TrimPrefix(catalog+"."+schema+"."+name, ".")
	}
	return &QueryError{Message: fmt.Sprintf("there is no view %q", name), Hint: nearest(name), ValidValues: Views}
}

// nearest guesses which view was meant.
func nearest(name string) string {
	best := slices.MinFunc(Views, func(a, b string) int {
		return levenshtein.ComputeDistance(name, a) - levenshtein.ComputeDistance(name, b)
	})
	if levenshtein.ComputeDistance(name, best) > len(best)/2 {
		return "use the views that are there"
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// lower is how DuckDB compares names: it knows no letters beyond ASCII.
func lower(v any) string {
	s, ok := v.(string)
	if !ok {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
