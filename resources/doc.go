// Package resources is what an agent can read:
//
//	hardware://               what this machine can run models on
//	models://                 the models that are here
//	models://{cid}            one of them, by CID or name, with its files
//	results://{run_id}        a run with its answer
//	results://{run_id}/{file} a file that a run made
//	docs://tasks/{task}       the parameters of a task
//	docs://{page}             a page of the documentation
//
// and what the program adds as a [View]: config://, metrics://, health://.
package resources
