/* pipe PIPE PORT passes on what is sent to a named pipe to a port of 127.0.0.1,
   and back. It prints a line when it listens. */
#include <winsock2.h>
#include <windows.h>
#include <stdio.h>
#include <stdlib.h>

struct pair { HANDLE pipe; SOCKET socket; };

/* transferred waits for what was begun on a pipe; 0 is its end. */
static DWORD transferred(HANDLE pipe, BOOL done, OVERLAPPED *o) {
	DWORD n = 0;
	if (!done && GetLastError() != ERROR_IO_PENDING) return 0;
	return GetOverlappedResult(pipe, o, &n, TRUE) ? n : 0;
}

static DWORD WINAPI upwards(void *arg) {
	struct pair *p = arg;
	char buffer[32768];
	DWORD n;
	OVERLAPPED o = { .hEvent = CreateEvent(NULL, TRUE, FALSE, NULL) };
	while ((n = transferred(p->pipe, ReadFile(p->pipe, buffer, sizeof buffer, NULL, &o), &o)) > 0)
		for (DWORD sent = 0; sent < n;) {
			int k = send(p->socket, buffer + sent, n - sent, 0);
			if (k <= 0) goto end;
			sent += k;
		}
end:
	CloseHandle(o.hEvent);
	shutdown(p->socket, SD_BOTH);
	return 0;
}

static DWORD WINAPI serve(void *arg) {
	struct pair *p = arg;
	char buffer[32768];
	int n;
	OVERLAPPED o = { .hEvent = CreateEvent(NULL, TRUE, FALSE, NULL) };
	HANDLE up = CreateThread(NULL, 0, upwards, p, 0, NULL);
	while ((n = recv(p->socket, buffer, sizeof buffer, 0)) > 0)
		for (DWORD written = 0, k; written < (DWORD)n; written += k)
			if (!(k = transferred(p->pipe, WriteFile(p->pipe, buffer + written, n - written, NULL, &o), &o))) goto end;
	FlushFileBuffers(p->pipe);
end:
	DisconnectNamedPipe(p->pipe); /* which ends upwards */
	WaitForSingleObject(up, INFINITE);
	CloseHandle(up);
	CloseHandle(o.hEvent);
	CloseHandle(p->pipe);
	closesocket(p->socket);
	free(p);
	return 0;
}

static HANDLE listen_at(const char *name) {
	return CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE, PIPE_UNLIMITED_INSTANCES, 65536, 65536, 0, NULL);
}

int main(int argc, char **argv) {
	WSADATA data;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	OVERLAPPED o = { .hEvent = CreateEvent(NULL, TRUE, FALSE, NULL) };
	HANDLE pipe;
	if (argc != 3 || WSAStartup(MAKEWORD(2, 2), &data)) return 1;
	to.sin_port = htons(atoi(argv[2]));
	pipe = listen_at(argv[1]);
	puts("listening");
	fflush(stdout);
	for (;;) {
		DWORD n;
		struct pair *p = malloc(sizeof *p);
		if (pipe == INVALID_HANDLE_VALUE || !p) return 1;
		if (!ConnectNamedPipe(pipe, &o) && GetLastError() == ERROR_IO_PENDING) GetOverlappedResult(pipe, &o, &n, TRUE);
		ResetEvent(o.hEvent);
		p->pipe = pipe;
		pipe = listen_at(argv[1]); /* the next client finds one at once */
		p->socket = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(p->socket, (struct sockaddr *)&to, sizeof to)) return 1;
		CloseHandle(CreateThread(NULL, 0, serve, p, 0, NULL));
	}
}
