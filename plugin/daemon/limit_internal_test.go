package daemon

import (
	"net"
	"strings"
	"testing"
	"time"
)

// A daemon that takes connections and says nothing is given up by itself.
func TestDeafDaemonIsGivenUp(t *testing.T) {
	deaf, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	connectLimit = 50 * time.Millisecond
	defer func() { connectLimit = 2 * time.Minute }()
	_, err = Connect(t.Context(), Endpoint{Host: "tcp://" + deaf.Addr().String(), Origin: "DOCKER_HOST"})
	if err == nil || !strings.HasSuffix(err.Error(), "(from DOCKER_HOST): no answer within 50ms") {
		t.Errorf("got %v", err)
	}
}
