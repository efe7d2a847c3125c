// Package hub is an origin of models: a Hugging Face hub, or a server that speaks
// its API. A model is hf://ORG/NAME[@REVISION]; a revision is a branch, a tag or
// a commit, main if there is none.
//
// The hub is asked only for a model that a caller has named so. Its token goes
// to the hub alone: not to the servers that it sends a download on to.
package hub

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// DefaultEndpoint is the public hub.
const DefaultEndpoint = "https://huggingface.co"

// Options configure an [Origin]. The zero value is the public hub, as nobody.
type Options struct {
	// Endpoint is the URL of the hub; "" means [DefaultEndpoint].
	Endpoint string
	// Token says who asks; nil or "" is nobody. It is called for each request.
	Token func() string
	// Offline refuses to ask the hub.
	Offline bool
	// Idle is how long the hub may send not one byte; 0 means 20 seconds.
	Idle time.Duration
}

// FromEnvironment returns the options that Hugging Face's own programs take from
// the environment: HF_ENDPOINT, HF_HUB_OFFLINE, and the token in HF_TOKEN or in
// the file that their login has left.
func FromEnvironment() Options {
	return Options{
		Endpoint: os.Getenv("HF_ENDPOINT"), Token: environmentToken,
		Offline: slices.Contains([]string{"1", "on", "yes", "true"}, strings.ToLower(os.Getenv("HF_HUB_OFFLINE"))),
	}
}

const maxToken = 4096

func environmentToken() string {
	if t := strings.TrimSpace(os.Getenv("HF_TOKEN")); t != "" {
		return t
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	cache := cmp.Or(os.Getenv("XDG_CACHE_HOME"), filepath.Join(home, ".cache"))
	dir := cmp.Or(os.Getenv("HF_HOME"), filepath.Join(cache, "huggingface"))
	data, err := os.ReadFile(cmp.Or(os.Getenv("HF_TOKEN_PATH"), filepath.Join(dir, "token")))
	if err != nil || len(data) > maxToken {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// An Origin is one hub.
type Origin struct {
	o      Options
	base   *url.URL
	client *http.Client
}

var _ ipfsstore.Origin = (*Origin)(nil)

const defaultIdle = 20 * time.Second

// New returns the hub of o.
func New(o Options) (*Origin, error) {
	o.Endpoint = strings.TrimRight(cmp.Or(o.Endpoint, DefaultEndpoint), "/")
	u, err := url.Parse(o.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("hub: %q is not the http or https URL of a hub", u.Redacted())
	}
	if o.Idle <= 0 {
		o.Idle = defaultIdle
	}
	h := &Origin{o: o, base: u}
	h.client = newClient(u)
	return h, nil
}

// Name implements [ipfsstore.Origin].
func (h *Origin) Name() string { return "hub" }

// Scheme implements [ipfsstore.Origin].
func (h *Origin) Scheme() string { return "hf" }

var (
	repoName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?$`)
	revision   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$`)
	commitHash = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// Canonical implements [ipfsstore.Origin].
func (h *Origin) Canonical(ref string) (full string, fixed bool, err error) {
	repo, rev, err := split(ref)
	return repo + "@" + rev, commitHash.MatchString(rev), err
}

func split(ref string) (repo, rev string, err error) {
	repo, rev, said := strings.Cut(ref, "@")
	if !said {
		rev = "main"
	}
	if !repoName.MatchString(repo) || !revision.MatchString(rev) || strings.Contains(ref, "..") {
		return "", "", fmt.Errorf("%w %.200q: a model of the hub is hf://ORG/NAME or hf://ORG/NAME@REVISION", ipfsstore.ErrInvalidRef, "hf://"+ref)
	}
	return repo, rev, nil
}

// Resolve implements [ipfsstore.Origin].
func (h *Origin) Resolve(ctx context.Context, ref string) (ipfsstore.Snapshot, error) {
	repo, rev, err := split(ref)
	if err != nil {
		return ipfsstore.Snapshot{}, err
	}
	commit, err := h.commit(ctx, repo, rev)
	if err != nil {
		return ipfsstore.Snapshot{}, err
	}
	files, err := h.tree(ctx, repo, commit)
	return ipfsstore.Snapshot{Ref: repo + "@" + commit, Name: repo, Files: files}, err
}
