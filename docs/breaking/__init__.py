"""`make breaking BASE=v1.2.3`: what the document breaks for clients that were made for an earlier one."""
