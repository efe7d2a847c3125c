package benchdb

import (
	"context"
	"database/sql"
	"strings"
)

// schema lists the columns of the views.
func schema(ctx context.Context, conn *sql.Conn, q Query) (Table, error) {
	l := listing{sql: schemaSQL, keys: []orderKey{{"view", "varchar"}, {"position", "integer"}}}
	l.sql = strings.ReplaceAll(l.sql, "$views", "'"+strings.Join(Views, " ")+"'")
	return l.page(ctx, conn, q)
}
