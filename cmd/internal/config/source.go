package config

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// A Source is a trustless HTTP gateway.
type Source struct {
	Name string `json:"name" jsonschema:"required" jsonschema_description:"As callers and errors name it."`
	URL  string `json:"url" jsonschema:"required" jsonschema_description:"http://HOST[:PORT] or https://HOST[:PORT], with or without a path."`
}

// ParseSource reads a source of the command line: URL or NAME=URL. Without a
// name it is called by its host.
func ParseSource(s string) (Source, error) {
	name, address, named := strings.Cut(s, "=")
	if !named || strings.Contains(name, ":") {
		name, address = "", s
	}
	host, err := hostOf(address)
	if err != nil {
		if errors.Is(err, errPassword) {
			return Source{}, err
		}
		return Source{}, fmt.Errorf("%q is not the URL of a gateway; write http://HOST[:PORT] or NAME=URL", s)
	}
	if name == "" {
		name = host
	}
	return Source{Name: name, URL: address}, nil
}

var (
	errPassword = errors.New("the URL of a gateway must not hold a password")
	errURL      = errors.New("is no URL; write http://HOST[:PORT] or https://HOST[:PORT]")
)

// hostOf returns the host of an http or https URL that holds no secret.
func hostOf(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return "", errURL
	}
	if u.User != nil {
		return "", errPassword
	}
	return u.Host, nil
}
