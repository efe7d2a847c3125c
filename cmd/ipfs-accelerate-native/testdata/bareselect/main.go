// Command bareselect opens a DuckDB database for reading and asks for nothing: the
// least that a query in a child of its own can cost.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"

	_ "github.com/duckdb/duckdb-go/v2"
)

func main() {
	db, err := sql.Open("duckdb", os.Args[1]+"?access_mode=READ_ONLY")
	if err == nil {
		var one int
		err = db.QueryRowContext(context.Background(), "select 1").Scan(&one)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
