package command

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealth_saysHowAServerIs(t *testing.T) {
	for status, want := range map[int]int{http.StatusOK: ExitOK, http.StatusServiceUnavailable: ExitUnavailable} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		var out, errs bytes.Buffer
		if code := Run(t.Context(), []string{"health", srv.URL + "/healthz"}, strings.NewReader(""), &out, &errs); code != want {
			t.Errorf("%d: exit code %d, %s", status, code, errs.String())
		}
		srv.Close()
		if code := Run(t.Context(), []string{"health", srv.URL + "/healthz"}, strings.NewReader(""), &out, &errs); code != ExitUnavailable {
			t.Errorf("nobody listens: exit code %d", code)
		}
	}
}
