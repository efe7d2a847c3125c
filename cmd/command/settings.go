package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/config"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// A keyFlag is a flag that sets a key of the configuration.
type keyFlag struct {
	c    *cli
	key  config.Key
	name string
}

var _ pflag.Value = (*keyFlag)(nil)

// Set takes what was given. A list grows with each time.
func (f *keyFlag) Set(text string) error {
	if f.key.Name == "logging.file" && text != "" { // a person means the folder they are in
		if abs, err := filepath.Abs(tilde(text)); err == nil {
			text = abs
		}
	}
	v, err := f.key.Parse(text)
	if err != nil {
		return err
	}
	if list, ok := v.([]any); ok {
		before, _ := f.c.given[f.key.Name].Value.([]any)
		v = append(before, list...)
	}
	f.c.given[f.key.Name] = config.Given{Flag: "--" + f.name, Value: v}
	return nil
}

// String is empty: what holds by default is in the usage.
func (f *keyFlag) String() string { return "" }

// Type is what the usage says of the value.
func (f *keyFlag) Type() string {
	return map[config.Kind]string{
		config.Text: "text", config.Bool: "bool", config.Number: "number", config.List: "list",
		config.Pairs: "name=value", config.Bytes: "size", config.Span: "duration",
	}[f.key.Kind]
}

// keyFlags adds the flags of the keys that want chooses. They are hidden where
// they are too many to be read.
func (c *cli) keyFlags(set *pflag.FlagSet, hidden bool, want func(name string, k config.Key) bool) {
	values := config.DefaultValues()
	for _, k := range config.Keys() {
		for _, name := range k.Flags {
			if !want(name, k) {
				continue
			}
			f := set.VarPF(&keyFlag{c, k, name}, name, "", usage(k, values[k.Name]))
			f.Hidden = hidden
			if k.Kind == config.Bool {
				f.NoOptDefVal = "true"
			}
		}
	}
}

// usage is what a key does, for a line of help.
func usage(k config.Key, value string) string {
	doc := strings.TrimSuffix(k.Doc, ".")
	switch value {
	case `""`, "[]", "false":
		return doc
	}
	return fmt.Sprintf("%s (default %s)", doc, strings.Trim(value, `"[]`))
}

// configure reads the configuration anew.
func (c *cli) configure() (*config.Loaded, error) {
	dir, err := os.Getwd()
	if err != nil {
		dir = "" // it was removed: it has no project
	}
	file := c.configFile
	if file == "" {
		file = os.Getenv(config.EnvConfig)
	}
	named := c.home != "" || os.Getenv(config.EnvHome) != ""
	l, err := config.Load(config.Options{
		File: file, Files: config.UserFiles(c.dataHome(), named), WorkDir: dir, Environ: os.Environ(), Flags: c.given, Suggest: engine.Suggest,
	})
	if wrong, ok := errors.AsType[config.Error](err); ok {
		return nil, usageError{wrong}
	}
	return l, err
}

// preferences are what the configuration says of platforms.
func preferences(h config.Hardware) engine.Preferences {
	p := engine.Preferences{Precision: h.Precision}
	for _, row := range []struct {
		kind          hardware.Kind
		prefer, allow bool
	}{
		{hardware.CUDA, h.PreferCUDA, h.AllowCUDA},
		{hardware.ROCm, h.PreferROCm, h.AllowROCm},
		{hardware.MPS, h.PreferMPS, h.AllowMPS},
		{hardware.OpenVINO, h.PreferOpenVINO, h.AllowOpenVINO},
		{hardware.Qualcomm, h.PreferQualcomm, h.AllowQualcomm},
		{hardware.WebNN, h.PreferWebNN, h.AllowWebNN},
		{hardware.WebGPU, h.PreferWebGPU, h.AllowWebGPU},
		{hardware.DirectML, h.PreferDirectML, h.AllowDirectML},
		{hardware.CPU, h.PreferCPU, h.AllowCPU},
	} {
		if row.prefer {
			p.Prefer = append(p.Prefer, row.kind)
		}
		if !row.allow {
			p.Deny = append(p.Deny, row.kind)
		}
	}
	return p
}

// reload takes what of the configuration can change while the server runs, and
// says what can't.
func (c *cli) reload(ctx context.Context, a *app) {
	fresh, err := c.configure()
	if err != nil {
		a.log.ErrorContext(ctx, "the configuration is as it was: the new one is wrong", "error", err)
		return
	}
	if err := a.out.level.UnmarshalText([]byte(fresh.Logging.Level)); err != nil {
		a.log.ErrorContext(ctx, "the level of the log is as it was", "error", err)
	}
	a.out.reopen()
	a.engine.SetPreferences(preferences(fresh.Hardware))
	changed, restart := differ(a.settings().Settings(), fresh.Settings())
	a.conf.Store(fresh)
	a.warn(fresh)
	a.log.InfoContext(ctx, "the configuration was read again", "changed", changed)
	if len(restart) > 0 {
		a.log.WarnContext(ctx, "restart the server for these to change", "keys", restart)
	}
}

// differ names the keys that changed, and those that need a restart.
func differ(old, fresh []config.Setting) (changed, restart []string) {
	for i, k := range config.Keys() {
		switch same := string(old[i].Value) == string(fresh[i].Value); {
		case same:
		case k.Reload:
			changed = append(changed, k.Name)
		default:
			restart = append(restart, k.Name)
		}
	}
	return changed, restart
}

// warn tells what of the configuration was left out.
func (a *app) warn(l *config.Loaded) {
	for _, w := range l.Warnings {
		a.log.Warn("a setting is left out", "setting", w.String())
	}
}

// tilde replaces a "~" that a client without a shell passed as it is.
func tilde(name string) string {
	if rest, ok := strings.CutPrefix(name, "~"); ok && (rest == "" || os.IsPathSeparator(rest[0])) {
		return filepath.Join(userHome(), rest)
	}
	return name
}
