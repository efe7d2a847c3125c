package engine

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// A ModelStore holds models by name or CID. [*ipfsstore.Store] is one.
type ModelStore interface {
	Open(ctx context.Context, ref string) (ipfsstore.Artifact, error)
	Fetch(ctx context.Context, ref string, o ipfsstore.FetchOptions) (ipfsstore.Fetched, error)
	Add(ctx context.Context, path string, o ipfsstore.AddOptions) (ipfsstore.Artifact, error)
	List(ctx context.Context) ([]ipfsstore.Artifact, error)
	// Lease keeps an Artifact's Model from being removed to make room, until
	// release is called.
	Lease(ctx context.Context, model string) (release func(), err error)
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
	case errors.Is(err, ipfsstore.ErrHashMismatch):
		return &Error{Code: ErrHashMismatch, Message: err.Error(), Hint: "a file of that cache is damaged: have the program that made it fetch it again", Err: err}
	case errors.Is(err, ipfsstore.ErrInvalidCAR):
		return &Error{Code: ErrInvalidArgument, Message: err.Error(), Hint: "export the CAR again: it is damaged, or lacks its root", Err: err}
	case errors.Is(err, ipfsstore.ErrIncomplete):
		return &Error{
			Code: ErrModelNotFound, Message: err.Error(), Err: err, ValidValues: sources,
			Hint: "call fetch_model_cid with its CID, or import a whole CAR of it: that brings what is lacking, and what is here is kept",
		}
	case errors.Is(err, ipfsstore.ErrModelChanged):
		return &Error{
			Code: ErrModelChanged, Message: err.Error(), Err: err,
			Hint: "the file was edited after it was added; add the folder again for a new CID, or call fetch_model_cid with a source that has the old bytes",
		}
	case errors.Is(err, ipfsstore.ErrOffline):
		return &Error{Code: ErrNotAllowed, Message: err.Error(), Hint: "unset HF_HUB_OFFLINE where the program is started, or name a model that is here: see models://", Err: err}
	case errors.Is(err, ipfsstore.ErrDenied):
		return &Error{Code: ErrNotAllowed, Message: err.Error(), Hint: "ask for access on the model's page of the hub, and set HF_TOKEN where the program is started", Err: err}
	case errors.Is(err, ipfsstore.ErrNotFound):
		return notFound(ref, sources, err)
	case errors.Is(err, ipfsstore.ErrTooLarge):
		return &Error{Code: ErrTooLarge, Message: err.Error(), Hint: "raise max_bytes, or name only the files you need in \"files\"", Err: err}
	case errors.Is(err, ipfsstore.ErrCopyNeeded):
		return &Error{Code: ErrTooLarge, Message: err.Error(), Hint: "add it with models add --copy or --reference, or move it to the store's file system", Err: err}
	case errors.Is(err, ipfsstore.ErrNameTaken):
		return &Error{Code: ErrNameTaken, Message: err.Error(), Hint: "pass another \"name\", or move it with models add --replace or models fetch --replace", Err: err}
	case errors.Is(err, ipfsstore.ErrDiskFull):
		return &Error{Code: ErrDiskFull, Message: err.Error(), Hint: "make room with models gc --max SIZE or models rm, then call again: what a fetch has got is kept", Retryable: true, Err: err}
	case errors.Is(err, ipfsstore.ErrInUse):
		return &Error{Code: ErrInUse, Message: err.Error(), Hint: "wait until the program that has it open is done, or remove it with --force", Retryable: true, Err: err}
	case errors.Is(err, ipfsstore.ErrPinned):
		return &Error{Code: ErrNotAllowed, Message: err.Error(), Hint: "take the pin away with models unpin, or remove it with --force", Err: err}
	case errors.Is(err, ipfsstore.ErrChangedDuringImport):
		return &Error{Code: ErrChangedDuringImport, Message: err.Error(), Hint: "call again when nothing writes to the model's files any more", Retryable: true, Err: err}
	case errors.Is(err, fs.ErrPermission):
		return &Error{Code: ErrNotAllowed, Message: "a file of the model can't be read", Hint: "give the user that runs this program permission to read the model's files", Err: err}
	case errors.Is(err, ipfsstore.ErrLinkOutside), errors.Is(err, ipfsstore.ErrUnsupportedCID), errors.Is(err, ipfsstore.ErrInvalidRef),
		errors.Is(err, ipfsstore.ErrInvalidDAG):
		return &Error{Code: ErrInvalidArgument, Message: err.Error(), Hint: "a model is a CID, /ipfs/CID, ipfs://CID, hf://ORG/NAME, a name from models:// or a path", Err: err}
	}
	return err
}

func notFound(ref string, sources []string, err error) error {
	if strings.HasPrefix(ref, "hf://") {
		return &Error{
			Code: ErrModelNotFound, Message: err.Error(), Err: err,
			Hint: "check the model's name and revision, hf://ORG/NAME@REVISION, and its files; if it is private, set HF_TOKEN where the program is started",
		}
	}
	e := &Error{Code: ErrModelNotFound, Message: "model \"" + ref + "\" is not here", Err: err, ValidValues: sources}
	if len(sources) == 0 {
		e.Hint = "no source is configured to fetch it from: name a trustless gateway with --source URL when the program is started, or pass the path of a model folder"
	} else {
		e.Hint = "none of the configured sources has it either: check the CID, or read models:// for what is here"
	}
	return e
}
