package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout is how long a server may take to say how it is.
const healthTimeout = 5 * time.Second

func (c *cli) health() *cobra.Command {
	return &cobra.Command{
		Use:   "health [URL]",
		Short: "Ask a server that listens whether it is well, for health checks",
		Long:  "Ask a server that listens whether it is well: http://127.0.0.1:8765/healthz unless URL\nnames another. The exit code is 0 if it is, 4 if not.",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			url := "http://127.0.0.1:8765/healthz"
			if len(args) > 0 {
				url = args[0]
			}
			if err := askHealth(cmd.Context(), url); err != nil {
				return verdictError{ExitUnavailable, err}
			}
			return nil
		},
	}
}

func askHealth(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		err = fmt.Errorf("the server answers %s", res.Status)
	}
	return errors.Join(err, res.Body.Close())
}
