package peers_test

import (
	"context"
	"testing"
	"time"
)

// limit is how long these tests wait for other processes at most.
const limit = 30 * time.Second

// patient is a context for where no test is.
func patient() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	context.AfterFunc(ctx, cancel)
	return ctx
}

func contextOf(t testing.TB) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), limit)
}
