package benchdb

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// An attempt is the batch that a worker is about to ingest. It is written down
// first: if the worker dies of it, whoever started the worker counts that, and
// the next one takes half, down to the line that does the harm.
type attempt struct {
	Spool    string `json:"spool"`
	Position int64  `json:"position"`
	Bytes    int    `json:"bytes"`
	Crashes  int    `json:"crashes"`
}

// harmfulAfter is how many workers a batch may kill.
const harmfulAfter = 2

// begin writes down the batch that is tried next: data or, if that has killed
// workers before, a part of it. harmful says that it is one line that must not
// be tried again.
func begin(s spoolFile, position int64, data []byte) (batch []byte, harmful bool, err error) {
	last, err := readAttempt(attemptFile)
	if err != nil {
		return nil, false, err
	}
	a := attempt{Spool: s.name, Position: position, Bytes: len(data)}
	if last.Spool == s.name && last.Position == position && last.Crashes > 0 {
		data = upTo(data, last.Bytes)
		a.Bytes, a.Crashes = len(data), last.Crashes
		if last.Crashes >= harmfulAfter {
			if bytes.Count(data, []byte{'\n'}) == 1 {
				return data, true, nil
			}
			data = upTo(data, len(data)/2)
			a.Bytes, a.Crashes = len(data), harmfulAfter-1 // once more is enough to halve it again
		}
	}
	return data, false, a.write(attemptFile)
}

// end notes that a batch is in. While a harmful line is looked for, the next
// batches are as small.
func end(position int64, found bool) error {
	a, err := readAttempt(attemptFile)
	if err != nil {
		return err
	}
	if a.Crashes == 0 || found {
		return os.Remove(attemptFile)
	}
	a.Position, a.Crashes = position, harmfulAfter-1
	return a.write(attemptFile)
}

// upTo returns whole lines of data: at least one, and n bytes at most if that
// is more than one.
func upTo(data []byte, n int) []byte {
	if n >= len(data) {
		return data
	}
	if i := bytes.LastIndexByte(data[:n], '\n'); i >= 0 {
		return data[:i+1]
	}
	return data[:bytes.IndexByte(data, '\n')+1]
}

// noteCrash counts a worker that died of the batch that it had begun, if it
// had begun one.
func (db *DB) noteCrash() {
	path := filepath.Join(db.dir, attemptFile)
	a, err := readAttempt(path)
	if err == nil && a.Spool != "" {
		a.Crashes++
		err = a.write(path)
	}
	if err != nil {
		db.log.Warn("note that a worker crashed", "error", err)
	}
}

// readAttempt reads what was tried last, if that did not succeed.
func readAttempt(path string) (a attempt, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return a, err
	}
	if json.Unmarshal(data, &a) != nil {
		return attempt{}, nil //nolint:nilerr // it was killed as it wrote
	}
	return a, nil
}

func (a attempt) write(path string) error {
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}
