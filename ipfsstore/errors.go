package ipfsstore

import (
	"errors"
	"fmt"
	"syscall"
)

// The errors that callers branch on. All arrive wrapped.
var (
	// ErrNotFound says that neither the store nor any source has the content.
	ErrNotFound = errors.New("not found")
	// ErrInvalidRef says that a reference is neither a CID, a path nor a name.
	ErrInvalidRef = errors.New("invalid model reference")
	// ErrUnsupportedCID says that a CID's codec or hash is not one the store
	// accepts: raw, dag-pb or dag-cbor, with sha2-256 (or identity, for tiny blocks).
	ErrUnsupportedCID = errors.New("unsupported CID")
	// ErrModelChanged says that a stored file's bytes are no longer the ones
	// its CID stands for. See [ModelChangedError].
	ErrModelChanged = errors.New("model changed")
	// ErrHashMismatch says that a block's bytes do not have the hash its CID
	// demands. See [HashMismatchError].
	ErrHashMismatch = errors.New("hash mismatch")
	// ErrLinkOutside says that a symbolic link leads out of the model's folder.
	ErrLinkOutside = errors.New("link leads out of the folder")
	// ErrSpecialFile says that a folder holds a socket, a pipe or a device.
	ErrSpecialFile = errors.New("not a regular file")
	// ErrChangedDuringImport says that a file changed while it was read.
	ErrChangedDuringImport = errors.New("file changed during import")
	// ErrTooLarge says that content exceeds a limit on size or number.
	ErrTooLarge = errors.New("too large")
	// ErrInvalidDAG says that blocks with the right hashes do not make a
	// folder or a file that could be stored.
	ErrInvalidDAG = errors.New("invalid DAG")
	// ErrInvalidCAR says that a CAR stream is malformed, truncated or lacks its
	// root.
	ErrInvalidCAR = errors.New("invalid CAR")
	// ErrIncomplete says that blocks of a model are lacking, because they were
	// when its CAR was imported. Fetching it, or importing a whole CAR, brings
	// them.
	ErrIncomplete = errors.New("incomplete")
	// ErrCopyNeeded says that a large file can be neither linked nor cloned
	// into the store, and that copying it was not asked for.
	ErrCopyNeeded = errors.New("copy needed")
	// ErrNameTaken says that a catalogue name points to another model, and that
	// moving it was not asked for. See [NameTakenError].
	ErrNameTaken = errors.New("name is taken")
	// ErrInUse says that a root which a program has open was to be removed
	// without force.
	ErrInUse = errors.New("in use")
	// ErrDiskFull says that the store's file system has no room left. What was
	// begun is not in the store; a fetch goes on where it ended.
	ErrDiskFull = errors.New("disk full")
	// ErrDenied says that an origin wants to know who asks, or refuses whoever
	// asks.
	ErrDenied = errors.New("access denied")
	// ErrOffline says that nobody may be asked for what is not here.
	ErrOffline = errors.New("offline")
	// ErrPinned says that a pinned root was to be removed without force.
	ErrPinned = errors.New("pinned")
)

// A HashMismatchError names the source that sent a block with the wrong bytes.
// It is an [ErrHashMismatch].
type HashMismatchError struct {
	Source string // the source's name
	CID    string // what was asked for
}

// Error implements error.
func (e *HashMismatchError) Error() string {
	return fmt.Sprintf("block %s from source %q: %v", e.CID, e.Source, ErrHashMismatch)
}

// Unwrap returns [ErrHashMismatch].
func (e *HashMismatchError) Unwrap() error { return ErrHashMismatch }

// A ModelChangedError names the file of a model whose bytes have changed. It is
// an [ErrModelChanged]. The store no longer holds the file; fetching or adding
// the model again brings it back.
type ModelChangedError struct {
	Root string // the model
	File string // slash-separated, relative to the model's folder
}

// Error implements error.
func (e *ModelChangedError) Error() string {
	return fmt.Sprintf("file %q of model %s: %v", e.File, e.Root, ErrModelChanged)
}

// Unwrap returns [ErrModelChanged].
func (e *ModelChangedError) Unwrap() error { return ErrModelChanged }

// A NameTakenError says where a catalogue name points. It is an [ErrNameTaken].
type NameTakenError struct {
	Name string
	Root string // what it points to
}

// Error implements error.
func (e *NameTakenError) Error() string {
	return fmt.Sprintf("name %q is that of model %s: %v", e.Name, e.Root, ErrNameTaken)
}

// Unwrap returns [ErrNameTaken].
func (e *NameTakenError) Unwrap() error { return ErrNameTaken }

// diskFull marks an error of a full file system (or a spent quota) as
// [ErrDiskFull].
func diskFull(err error) error {
	if (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) && !errors.Is(err, ErrDiskFull) {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}
