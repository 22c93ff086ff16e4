"""What is decided about calls of language models, before and after they are sent.

`choice`: which model answers; `pricing`: what a call costs; `tokens`: how many it may need;
`waits`: when it is tried again; `pace`: how many are sent at a time.
"""
