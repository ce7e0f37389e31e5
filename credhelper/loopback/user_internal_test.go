package loopback

import (
	"net"
	"runtime"
	"testing"
)

// A program that hangs up at once does not pass for root's.
func TestSocketsOfClosedPrograms(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the table is Linux's")
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, linger := range []int{-1, 0} {
		conn, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if !sameUser(conn.LocalAddr().String(), l.Addr().String()) {
			t.Error("our own connection is refused")
		}
		_ = conn.(*net.TCPConn).SetLinger(linger)
		conn.Close()
		if sameUser(conn.LocalAddr().String(), l.Addr().String()) {
			t.Errorf("a closed connection passes (linger %d)", linger)
		}
		accepted.Close()
	}
}
