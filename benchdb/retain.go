package benchdb

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"time"
)

// retainEvery is how often what is old is made smaller.
const retainEvery = 24 * time.Hour

// retainedFile notes when that was done last.
const retainedFile = "metrics.retained"

// expired reports whether an ingest should look for what is old.
func (w *worker) expired() bool {
	if w.r.Op != opIngest || w.r.Retention == (Retention{}) {
		return false
	}
	note, err := os.ReadFile(retainedFile)
	if err != nil {
		return true
	}
	last, err := time.Parse(time.RFC3339, string(note))
	return err != nil || time.Since(last) >= retainEvery || time.Until(last) > retainEvery
}

// retain makes what is older than the retention smaller, once a day.
func (in *ingester) retain(ctx context.Context) error {
	if !in.w.expired() {
		return nil
	}
	now, r := time.Now().UTC(), in.w.r.Retention
	if r.Inferences > 0 {
		if err := in.rollUp(ctx, now.Add(-r.Inferences).Truncate(time.Hour)); err != nil {
			return fmt.Errorf("roll up old inferences: %w", err)
		}
	}
	if r.Samples > 0 {
		if err := in.makeHistograms(ctx, now.Add(-r.Samples)); err != nil {
			return fmt.Errorf("make histograms of old samples: %w", err)
		}
	}
	return os.WriteFile(retainedFile, []byte(now.Format(time.RFC3339)), 0o600)
}

// rollUp replaces the inferences before a full hour by a row per hour and kind.
// What comes in late makes rows of its own, which the view adds up.
func (in *ingester) rollUp(ctx context.Context, before time.Time) error {
	const hourly = `insert into _inferences_hourly by name
		select uuidv7() as id, date_trunc('hour', timestamp) as hour, model_name, model_cid, task, hardware_type, device, precision, error,
		       environment, software_id, count(*) as n, sum(items) as items, sum(total_ms) as total_ms, sum(run_ms) as run_ms,
		       min(total_ms) as min_ms, max(total_ms) as max_ms, quantile_cont(total_ms, 0.5) as p50_ms, quantile_cont(total_ms, 0.99) as p99_ms,
		       sum(joules) as joules
		from _inferences where timestamp < ?::timestamptz
		group by date_trunc('hour', timestamp), model_name, model_cid, task, hardware_type, device, precision, error, environment, software_id`
	return in.transaction(ctx, func(tx *sql.Tx) error {
		at := before.Format(time.RFC3339)
		if _, err := tx.ExecContext(ctx, hourly, at); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "delete from _inferences where timestamp < ?::timestamptz", at); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "insert or replace into _meta values ('rolled_up', ?)", at)
		return err
	})
}

// makeHistograms replaces the samples of old results by how often each latency
// was seen, to two parts in a hundred. The figures of the results stay.
func (in *ingester) makeHistograms(ctx context.Context, before time.Time) error {
	const histogram = `update _results
		set histogram = list_aggregate(list_transform(latencies, lambda x: round(exp(round(ln(greatest(x, 1e-6)) * 50) / 50), 6)), 'histogram'),
		    latencies = null, offsets = null
		where timestamp < ?::timestamptz and latencies is not null`
	return in.transaction(ctx, func(tx *sql.Tx) error {
		at := before.Format(time.RFC3339)
		if _, err := tx.ExecContext(ctx, histogram, at); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "delete from _time_series where timestamp < ?::timestamptz", at)
		return err
	})
}
