package benchdb

import "fmt"

// The bounds of a query.
const (
	maxLimit     = 1000
	defaultLimit = 20
	maxSQL       = 64 << 10 // bytes
	maxField     = 4 << 10  // bytes
)

// check refuses a query that no worker need see, and sets its default limit.
func (q *Query) check() error {
	if q.Limit == 0 {
		q.Limit = defaultLimit
	}
	switch {
	case q.Limit < 0 || q.Limit > maxLimit:
		return &QueryError{Message: fmt.Sprintf("limit %d is not between 1 and %d", q.Limit, maxLimit)}
	case len(q.SQL) > maxSQL:
		return &QueryError{Message: fmt.Sprintf("the SQL is over %d bytes", maxSQL)}
	case len(q.Cursor) > maxField:
		return ErrBadCursor
	case max(len(q.RunID), len(q.Baseline), len(q.Model), len(q.Device), len(q.Workload)) > maxField:
		return &QueryError{Message: fmt.Sprintf("a field is over %d bytes", maxField)}
	}
	return nil
}
