package benchdb

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// export writes a file per table.
func (w *worker) export(ctx context.Context) (response, error) {
	if err := os.MkdirAll(w.r.Path, 0o700); err != nil {
		return response{}, err
	}
	how := map[Format]string{Parquet: "format parquet, compression zstd", NDJSON: "format json"}[w.r.Format]
	return response{}, w.with(ctx, func(db *sql.DB) error {
		for _, t := range tableNames() {
			file := filepath.Join(w.r.Path, t+"."+string(w.r.Format))
			if _, err := db.ExecContext(ctx, fmt.Sprintf("copy (from _%s order by all) to %s (%s)", t, quoted(file), how)); err != nil {
				return fmt.Errorf("export %s: %w", t, err)
			}
		}
		return nil
	})
}

// importAll reads such files. Inferences of a time that is rolled up here are
// left out: they are counted already, or too old to be kept.
func (w *worker) importAll(ctx context.Context) (response, error) {
	res := response{}
	found := false
	err := w.with(ctx, func(db *sql.DB) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback() //nolint:errcheck // it is over, or the error says why
		for _, t := range tableNames() {
			for _, f := range []Format{Parquet, NDJSON} {
				file := filepath.Join(w.r.Path, t+"."+string(f))
				if _, err := os.Stat(file); err != nil {
					continue
				}
				found = true
				n, err := importTable(ctx, tx, t, file, f)
				if err != nil {
					return fmt.Errorf("import %s: %w", t, err)
				}
				res.Table.Total += n
			}
		}
		return tx.Commit()
	})
	if err == nil && !found {
		err = &QueryError{Message: "no export is there", Hint: "name the folder that an export wrote", ValidValues: tableNames()}
	}
	return res, err
}

func importTable(ctx context.Context, tx *sql.Tx, table, file string, f Format) (int64, error) {
	from := "read_parquet(" + quoted(file) + ")"
	if f == NDJSON {
		columns, err := columnTypes(ctx, tx, table)
		if err != nil {
			return 0, err
		}
		from = "read_json(" + quoted(file) + ", format = 'newline_delimited', columns = {" + columns + "})"
	}
	q := "insert into _" + table + " by name from " + from + " on conflict do nothing"
	if table == "inferences" {
		q = insertInferences("from " + from +
			" where timestamp >= coalesce((select value::timestamptz from _meta where key = 'rolled_up'), '-infinity'::timestamptz)")
	}
	res, err := tx.ExecContext(ctx, q)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// columnTypes are a table's columns as read_json takes them.
func columnTypes(ctx context.Context, tx *sql.Tx, table string) (string, error) {
	rows, err := tx.QueryContext(ctx, "select column_name, data_type from duckdb_columns() where table_name = ? order by column_index", "_"+table)
	if err != nil {
		return "", err
	}
	defer rows.Close() // rows.Err tells
	var pairs []string
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			return "", err
		}
		pairs = append(pairs, quoted(name)+": "+quoted(kind))
	}
	return strings.Join(pairs, ", "), rows.Err()
}
