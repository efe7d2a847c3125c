package benchdb

// syncDir does nothing: a folder can't be synced on Windows, where its file
// systems journal renames themselves.
func syncDir(string) error { return nil }
