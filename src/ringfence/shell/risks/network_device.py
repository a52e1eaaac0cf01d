"""The shell opens a connection by itself: `/dev/tcp/HOST/PORT` is no file."""

NAME = "network-device"
TITLE = "A connection made by the shell"
ADVICE = "Use a program that egress rules can name, such as curl."
EXAMPLE = "echo x > /dev/tcp/127.0.0.1/9"
HARMLESS = "echo x > /dev/null"
