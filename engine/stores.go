package engine

import (
	"context"
	"errors"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// A ModelStore holds models by name or CID. [*ipfsstore.Store] is one.
type ModelStore interface {
	Open(ctx context.Context, ref string) (ipfsstore.Artifact, error)
	Fetch(ctx context.Context, ref string, o ipfsstore.FetchOptions) (ipfsstore.Fetched, error)
	Add(ctx context.Context, path string, o ipfsstore.AddOptions) (ipfsstore.Artifact, error)
	List(ctx context.Context) ([]ipfsstore.Artifact, error)
	SourceNames() []string
}

// A ResultLog keeps measurements. [*benchdb.DB] is one.
type ResultLog interface {
	Record(ctx context.Context, b benchdb.Batch) error
	Query(ctx context.Context, q benchdb.Query) (benchdb.Table, error)
}

// storeError says what a failure of the model store means to an agent.
func storeError(ref string, sources []string, err error) error {
	var e *Error
	var mismatch *ipfsstore.HashMismatchError
	switch {
	case err == nil || errors.As(err, &e):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: ErrDeadline, Message: "the model did not arrive in time", Hint: "call again: what has arrived is kept", Retryable: true, Err: err}
	case errors.Is(err, context.Canceled):
		return &Error{Code: ErrCancelled, Message: "cancelled", Retryable: true, Err: err}
	case errors.As(err, &mismatch):
		return &Error{
			Code: ErrHashMismatch, Err: err, ValidValues: sources,
			Message: "source " + mismatch.Source + " sent other bytes than those of " + mismatch.CID + "; nothing of it was kept",
			Hint:    "name another source in \"sources\", or ask who runs " + mismatch.Source,
		}
	case errors.Is(err, ipfsstore.ErrModelChanged):
		return &Error{
			Code: ErrModelChanged, Message: err.Error(), Err: err,
			Hint: "the file was edited after it was added; add the folder again for a new CID, or call fetch_model_cid with a source that has the old bytes",
		}
	case errors.Is(err, ipfsstore.ErrNotFound):
		return notFound(ref, sources, err)
	case errors.Is(err, ipfsstore.ErrTooLarge):
		return &Error{Code: ErrTooLarge, Message: err.Error(), Hint: "raise max_bytes, or name only the files you need in \"files\"", Err: err}
	case errors.Is(err, ipfsstore.ErrCopyNeeded):
		return &Error{Code: ErrTooLarge, Message: err.Error(), Hint: "move the model to the store's file system, or add it with models add --copy", Err: err}
	case errors.Is(err, ipfsstore.ErrLinkOutside), errors.Is(err, ipfsstore.ErrUnsupportedCID), errors.Is(err, ipfsstore.ErrInvalidRef),
		errors.Is(err, ipfsstore.ErrChangedDuringImport), errors.Is(err, ipfsstore.ErrInvalidDAG):
		return &Error{Code: ErrInvalidArgument, Message: err.Error(), Hint: "a model is a CID, /ipfs/CID, ipfs://CID, a name from models:// or a path", Err: err}
	}
	return err
}

func notFound(ref string, sources []string, err error) error {
	e := &Error{Code: ErrModelNotFound, Message: "model \"" + ref + "\" is not here", Err: err, ValidValues: sources}
	if len(sources) == 0 {
		e.Hint = "no source is configured to fetch it from: name a trustless gateway with --source URL when the program is started, or pass the path of a model folder"
	} else {
		e.Hint = "none of the configured sources has it either: check the CID, or read models:// for what is here"
	}
	return e
}
