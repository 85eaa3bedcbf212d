# The units in examples/ are for the program in /usr/local, and for copying by hand.
s,/usr/local/bin/,/usr/bin/,g
s,^# Copy it to /etc/systemd/system\, then: ,# To enable it: ,
s,^Documentation=,&man:devlxdctl-ready(1) ,
