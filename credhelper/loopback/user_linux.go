package loopback

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// sameUser reports whether the program at the other end of a connection to us
// is this user's, or root's, by the kernel's table of sockets (proc_net(5)).
// One that is not in this table, such as a browser of Windows before WSL, is
// no other user of this machine. Remote and local are its ends.
func sameUser(remote, local string) bool {
	theirs, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	ours, err := netip.ParseAddrPort(local)
	if err != nil {
		return false
	}
	rows, err := sockets()
	if err != nil {
		return true // as on systems without such a table
	}
	if row, exists := rows[[2]netip.AddrPort{theirs, ours}]; exists {
		// A socket that its program has closed belongs to nobody, and says root.
		return row.open && (row.uid == 0 || row.uid == os.Geteuid())
	}
	// A peer that hangs up at once is in no table either, but then our end is not open.
	rows, err = sockets()
	return err == nil && rows[[2]netip.AddrPort{ours, theirs}].established
}

// socket is a row of the table.
type socket struct {
	uid               int
	open, established bool
}

// sockets returns the table, by local and remote address.
func sockets() (map[[2]netip.AddrPort]socket, error) {
	rows := map[[2]netip.AddrPort]socket{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, err := os.ReadFile(file) //nolint:forbidigo // of the kernel: as long as there are connections
		if err != nil && file == "/proc/net/tcp" {
			return nil, err
		}
		for line := range bytes.Lines(data) {
			// sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
			fields := strings.Fields(string(line))
			if len(fields) < 10 {
				continue
			}
			local, errLocal := parseSocketAddress(fields[1])
			remote, errRemote := parseSocketAddress(fields[2])
			uid, errUID := strconv.Atoi(fields[7])
			if errLocal != nil || errRemote != nil || errUID != nil {
				continue // the heading
			}
			rows[[2]netip.AddrPort{local, remote}] = socket{uid, fields[9] != "0", fields[3] == "01"}
		}
	}
	return rows, nil
}

// parseSocketAddress reads an address as the table has it: 32 bits at a time in
// the machine's order, and the port, in hexadecimal.
func parseSocketAddress(text string) (netip.AddrPort, error) {
	address, port, _ := strings.Cut(text, ":")
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil || len(address)%8 != 0 {
		return netip.AddrPort{}, fmt.Errorf("%q is no address", text)
	}
	var raw []byte
	for ; address != ""; address = address[8:] {
		word, err := strconv.ParseUint(address[:8], 16, 32)
		if err != nil {
			return netip.AddrPort{}, err
		}
		raw = binary.NativeEndian.AppendUint32(raw, uint32(word))
	}
	ip, ok := netip.AddrFromSlice(raw)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("%q is no address", text)
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(number)), nil
}
